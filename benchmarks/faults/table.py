"""The page of results: a table for each group of cases, and how often each word is in them."""

import statistics
from collections import Counter
from typing import Any

from benchmarks.faults.cases import CASES, ERRORS, GROUPS, Case
from benchmarks.faults.libraries import LIBRARIES
from benchmarks.faults.verdict import OUTCOMES, worst
from benchmarks.faults.watch import STAY

HEAD = """# Faults, here and elsewhere

<!-- made by `make bench-table` from benchmarks/results/faults.json: do not edit -->

What happens in `seqtools`, and in other libraries that evaluate things in worker processes, when
a worker dies, an error cannot be sent, the script is killed, and so on. `make bench-faults` runs
all of it again and rewrites this page; `make bench-faults CASE=killed-once` does one case. What
is done exactly is told in `benchmarks/faults/README.md`.

Each library reads 60 items of 5 ms in order from two workers, used as its documentation says; in
a process of its own for each run. The worst of the runs counts, and times are medians. Workers are
started in the default way: those of Grain and loky are new interpreters, ours are forked from one,
those of the others are forked from the reader, up to Python 3.13.

The cases are those in which we promise something. Most of the libraries promise nothing there:
they are made for other things, or expect that what has failed is started again as a whole.

"""

CLOCK = (
    "Seconds are the longest that the reader waited for an item or an error after the fault, "
    "which includes evaluating again what was lost; after the death of the reader, the time until "
    "all processes were gone; after an early end, until the script had ended. Less than 0.01 s is "
    "“at once”. The times are rough: they are no benchmark."
)

TIMED = ("clean", "noise", "all delivered", "error, rest delivered")
"""The outcomes with which a time makes sense."""

Runs = list[dict[str, Any]]


def page(records: dict[str, dict[str, Any]]) -> str:
    """Return docs/faults-elsewhere.md.

    Args:
        records: Of each case, as they are stored.
    """
    parts = [HEAD + _libraries(records), _words(), _summary(records)]
    for group, text in GROUPS.items():
        cases = [case for case in CASES.values() if case.group == group and case.name in records]
        if cases:
            parts.append(_section(group, text, cases, records))
    return "\n".join([*parts, _where(records)])


def cell(case: Case, runs: Runs) -> str:
    """Return what came of a case with a library.

    Args:
        case: The case.
        runs: What is stored of each run.
    """
    bad = worst(runs)
    outcome = bad["outcome"]
    if outcome == "does not apply":
        return str(outcome)
    said = [outcome, *_facts(case, bad)]
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    if outcome in TIMED and seconds and case.group != ERRORS:
        median = statistics.median(seconds)
        said.append(f"{median:.2g} s" if median > 0.01 else "at once")
    counts = Counter(run["outcome"] for run in runs)
    if len(counts) > 1:
        said.append(f"in {counts[outcome]} of {len(runs)} runs")
    return "; ".join(said)


def _facts(case: Case, run: dict[str, Any]) -> list[str]:
    outcome, facts = run["outcome"], []
    if outcome in ("error, rest lost", "truncated silently"):
        facts.append(f"{run['delivered']} of {case.n}")
    if outcome == "hangs":
        place = "at its end, after" if run["hung"] == "ending" else "after"
        facts.append(f"{place} {run['delivered']} of {case.n}")
    if outcome == "leaves processes":
        gone = run["gone"]
        time = f"for {gone:.1f} s" if gone else f"for more than {STAY:.0f} s"
        facts.append(f"{len(run['left'])} of them, {time}")
    if outcome == "noise":
        facts.append(f"{run['printed']} lines" if run["printed"] > 1 else "a line")
    if outcome == "error, rest lost" and run["hung"]:
        facts.append("read on, it hangs")
    if outcome == "error, rest lost" and run["errors"] > case.n:
        facts.append("the error comes again and again")
    return facts


def _libraries(records: dict[str, dict[str, Any]]) -> str:
    lines = ["| library | used as | made for |", "|---|---|---|"]
    for library in LIBRARIES.values():
        version = _version(library.name, records)
        name = f"{library.name} ({version})" if version else library.name
        lines.append(f"| {name} | {library.used_as} | {library.made_for} |")
    return "\n".join(lines) + "\n"


def _version(name: str, records: dict[str, dict[str, Any]]) -> str | None:
    answers = (a for record in records.values() for a in record["contestants"].get(name, ()))
    return next((answer["version"] for answer in answers if answer.get("version")), None)


def _words() -> str:
    lines = ["| word | means |", "|---|---|"]
    lines += [f"| {word} | {meaning} |" for word, meaning in OUTCOMES.items()]
    return "\n".join(["## The words\n", *lines, "", CLOCK, ""])


def _summary(records: dict[str, dict[str, Any]]) -> str:
    counts = {
        name: Counter(
            worst(record["contestants"][name])["outcome"]
            for record in records.values()
            if record["contestants"].get(name)
        )
        for name in LIBRARIES
    }
    words = [word for word in OUTCOMES if any(count[word] for count in counts.values())]
    lines = ["| cases that were | " + " | ".join(words) + " |", "|---|" + "--:|" * len(words)]
    for name, count in counts.items():
        shown = (str(count[word] or "") for word in words)
        lines.append(f"| {_name(name)} | " + " | ".join(shown) + " |")
    return "\n".join(["## All cases\n", *lines, ""])


def _section(group: str, text: str, cases: list[Case], records: dict[str, dict[str, Any]]) -> str:
    head = "| | " + " | ".join(map(_name, LIBRARIES)) + " |"
    lines = [
        f"## {group}\n",
        *([text, ""] if text else []),
        head,
        "|---" * (len(LIBRARIES) + 1) + "|",
    ]
    for case in cases:
        answers = records[case.name]["contestants"]
        cells = (
            cell(case, answers[name]) if answers.get(name) else "was not run" for name in LIBRARIES
        )
        lines.append(f"| {case.text} (`{case.name}`) | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _name(library: str) -> str:
    return f"**{library}**" if library == "seqtools" else library


def _where(records: dict[str, dict[str, Any]]) -> str:
    places: dict[str, list[float]] = {}
    for record in records.values():
        machine = record["machine"]
        text = (
            f"{record['rounds']} runs. {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, "
            f"numpy {machine['numpy']}."
        )
        places.setdefault(f"{record['date']}, {text}", []).append(machine["load_before"])
    lines = (
        f"{place} Load average before each case: {min(loads)}–{max(loads)}."
        for place, loads in places.items()
    )
    return "\n\n".join(lines) + "\n"
