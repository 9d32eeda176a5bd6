"""The hash of a string is the same in all processes that a program starts."""

import pytest

from tests.faults.programs import SOURCE, environment, run

PROGRAM = f"""\
import os, sys
sys.path.insert(0, {SOURCE!r})
import seqtools

class Hashed:
    def __getitem__(self, i):
        return hash("seqtools"), os.getpid()

    def __len__(self):
        return 24

def read(method, nworkers=2):
    return seqtools.prefetch(Hashed(), nworkers, "process", start_method=method)

def hashes(p):
    return {{found for found, pid in p}}

here = hash("seqtools")
"""


def output(code: str, *flags: str, **changes: str | None) -> list[str]:
    """Return what a program prints that has the functions above, and ends well."""
    done = run(*flags, "-c", PROGRAM + code, env=environment(**changes))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize("seed", ["0", "42", None, "random"])
def test_all_workers_agree_and_so_do_those_that_come_after_them(seed: str | None) -> None:
    code = """
def told(method):
    with read(method) as p:
        found = hashes(p)
        pids = {pid for _, pid in p}
        p.refresh()
        found |= hashes(p)
        p.close()
        found |= hashes(p)
        assert pids.isdisjoint(pid for _, pid in p)
    with read(method, 1) as another:
        return found | hashes(another)

started, forked = told("template") | told("spawn"), told("fork")
print(len(started), here in started, len(forked), here in forked)
"""
    same = seed in {"0", "42"}
    assert output(code, PYTHONHASHSEED=seed) == ["1", str(same), "1", "True"]


def test_workers_that_end_when_they_are_idle_and_start_again() -> None:
    code = """
import time
p = seqtools.prefetch(Hashed(), 1, "process", idle_timeout=0.01, start_method="spawn")
found, pids = set(), set()
while len(pids) < 2:
    value, pid = p[len(pids)]
    found.add(value)
    pids.add(pid)
    while p._state.pump._engine is not None:
        time.sleep(0.01)
print(len(found))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"]


@pytest.mark.parametrize("method", ["template", "spawn"])
def test_what_counts_is_what_the_program_was_started_with(method: str) -> None:
    code = f"""
os.environ["PYTHONHASHSEED"] = "7"
with read({method!r}) as p:
    print(hashes(p) == {{here}})
"""
    assert output(code, PYTHONHASHSEED="42") == output(code, PYTHONHASHSEED="0") == ["True"]


def test_a_program_that_sets_it_for_its_children_has_it_set() -> None:
    code = """
os.environ["PYTHONHASHSEED"] = "7"
with read("template") as p:
    print(*hashes(p))
os.environ["PYTHONHASHSEED"] = "8"
with read("spawn") as p:
    print(*hashes(p))
"""
    as_in_a_program_with_it = output("print(here)", PYTHONHASHSEED="7")
    assert output(code, PYTHONHASHSEED=None) == 2 * as_in_a_program_with_it


def test_what_no_interpreter_would_start_with_is_not_handed_on() -> None:
    code = """
for seed in ("many", "-1", "4294967296", "\N{SUPERSCRIPT TWO}"):
    os.environ["PYTHONHASHSEED"] = seed
    with read("spawn") as p:
        print(len(hashes(p)))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"] * 4


def test_workers_of_workers_and_forks_of_the_program_agree_too() -> None:
    code = """
class Nested:
    def __getitem__(self, i):
        with read("spawn", 1) as p:
            return p[i][0], hash("seqtools")

    def __len__(self):
        return 2

found = set()
for method in ("template", "spawn"):
    with seqtools.prefetch(Nested(), 1, "process", start_method=method) as p:
        found.update(*p)
told, tell = os.pipe()
if os.fork() == 0:
    with read("template") as p:
        os.write(tell, repr(hashes(p)).encode())
    os._exit(0)
os.wait()
found |= eval(os.read(told, 1000))
print(len(found))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"]


@pytest.mark.parametrize("flag", ["-E", "-I"])
def test_where_the_environment_is_ignored_workers_start_as_well(flag: str) -> None:
    code = """
with read("template") as p:
    print(len(hashes(p)))
"""
    assert output(code, flag, PYTHONHASHSEED="3") == ["1"]


def test_programs_have_hashes_of_their_own() -> None:
    code = """
with read("template") as p:
    print(*hashes(p))
"""
    assert output(code, PYTHONHASHSEED=None) != output(code, PYTHONHASHSEED=None)
