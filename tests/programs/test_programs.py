"""Random programs do the same in every engine: a moment of `make programs`."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs.alone import script
from tests.programs.effects import EFFECTS, ERRORS, Effect
from tests.programs.expected import DIFFERENCES
from tests.programs.generating import engines, generate
from tests.programs.minimising import minimise
from tests.programs.program import INLINE, Engine, Function, Program
from tests.programs.readers import READERS
from tests.programs.running import Runner, compare, differences, environment
from tests.programs.stages import Part
from tests.programs.values import VALUES

THREAD, FORK = Engine("thread", 1), Engine("fork", 1)
LIST = Function(("list",))


def made(*stages: Part | Function, n: int = 5, reader: str = "all") -> Program:
    return Program(0, Part(f"range({n})", n), stages, reader)


@pytest.fixture(scope="module", name="runner")
def one_runner() -> Iterator[Runner]:
    with Runner() as runner:
        runner.run(made(LIST), INLINE)  # it has started by now, and belongs to no test
        yield runner


@pytest.fixture(name="one_more")
def one_more_effect(request: pytest.FixtureRequest) -> Iterator[Program]:
    """Give a program with an effect that is not among the others."""
    EFFECTS["one more"] = request.param
    yield made(Part("seqtools.cycle(s, 9)", 9), LIST, Function(("nested", "str"), ("one more",)))
    del EFFECTS["one more"]


def planted(**parts: str) -> Any:
    return pytest.mark.parametrize("one_more", [Effect(**parts)], indirect=True, ids=["planted"])


@pytest.mark.parametrize("seed", [22, 33, 44])
def test_a_program(seed: int, runner: Runner) -> None:
    program = generate(seed)
    assert compare(runner, program, engines(program)) == {}


@pytest.mark.parametrize("time", [1, 2])
def test_a_new_program(time: int, runner: Runner) -> None:
    del time
    program = generate(random.SystemRandom().randrange(1 << 30))
    found = compare(runner, program, engines(program))
    assert found == {}, f"see: python -m tests.programs --seed {program.seed}"


def test_the_list_is_the_table_of_the_docs() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "same-values.md").read_text()
    table = text.split("| what a program does |")[1].split("\n\n")[0]
    rows = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[2:]]
    assert [row[: len(each.what)] for row, each in zip(rows, DIFFERENCES, strict=False)] == [
        each.what for each in DIFFERENCES
    ]
    assert len(rows) == len(DIFFERENCES)


def test_every_tag_of_the_list_is_one_of_an_ingredient() -> None:
    source = "".join(
        Path(__file__).with_name(f"{name}.py").read_text() for name in ("effects", "stages")
    )
    known = {tag for reader in READERS.values() for tag in reader.tags.split()}
    for each in DIFFERENCES:
        for tag in " ".join([*each.copies, *each.processes, *each.threads]).split():
            assert tag in known or f'"{tag}"' in source


def test_a_seed_gives_the_same_program_whatever_the_hashes() -> None:
    command = "from tests.programs.generating import generate; print(generate(7).text(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env=environment() | {"PYTHONHASHSEED": "3"},
        text=True,
    )
    assert done.stdout == generate(7).text()


def test_all_values_and_effects_can_be_had(runner: Runner) -> None:
    names = list(VALUES)
    programs = [made(Function(tuple(names[k : k + 80])), n=80) for k in range(0, len(names), 80)]
    works = [name for name, effect in EFFECTS.items() if "sets" not in " ".join(effect.tags)]
    programs.append(made(*(Function(("list",), (name,)) for name in works)))
    for program in programs:
        outcome = runner.run(program, INLINE)
        assert (outcome["failed"], outcome["left"]) == ("", [])
        assert len(outcome["entries"]) == program.source.n
        assert not [told for told in outcome["entries"] if "error seqtools" in told]


def test_all_errors_and_readers_can_be_had(runner: Runner) -> None:
    for name in ERRORS:
        told = runner.run(made(Function(("list",), error=name)), INLINE)["entries"][3]
        assert "error " in told
        assert "NameError" not in told
    for reader in READERS:
        outcome = runner.run(made(LIST, reader=reader), INLINE)
        assert outcome["entries"]
        assert outcome["failed"] == ""


@planted(result="[threading.current_thread().name, {v}]")
def test_what_differs_is_found_and_made_small(one_more: Program, runner: Runner) -> None:
    told = differences(runner, one_more, THREAD)
    assert "MainThread" in told
    small, _, how = minimise(runner, one_more, THREAD, told)
    assert "MainThread" in how
    assert small.stages == (Function(("int",), ("one more",)),)
    assert small.source.n == 2


@planted(result="[__name__, {v}]")
def test_a_program_can_be_run_by_a_person(one_more: Program, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(script(one_more, FORK, "nothing is different"))
    done = subprocess.run(
        [sys.executable, file], check=False, capture_output=True, env=environment(), text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["same", str(k)] for k in range(9)
    ]


@planted(body='if "Main" not in threading.current_thread().name:\n    threading.Event().wait()')
def test_what_hangs_is_ended_and_found(one_more: Program) -> None:
    with Runner(limit=2.0) as runner:
        told = differences(runner, one_more, THREAD)
        assert told.startswith("it did not end: exit code 1")
        assert "program.py" in told  # where it hangs


@planted(body='if "Main" not in threading.current_thread().name:\n    os.dup(0)')
def test_what_is_left_behind_is_found(one_more: Program) -> None:
    with Runner(grace=0.0) as runner:
        assert differences(runner, one_more, THREAD).startswith("left behind: file descriptor")
