"""Values of every kind of class come back from processes with the value and type that they have.

Each file in `kinds` is a program that defines classes, and has a row for each kind of them. It
runs as a script, where classes are in `__main__`, and inside of a function, as in a test.
"""

import textwrap
from pathlib import Path

import pytest

from tests.scripts import run

KINDS = sorted(Path(__file__).with_name("kinds").glob("*.py"))
ROOT = Path(__file__).parents[2]
START = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
END = "\nfrom tests.values.uses import check\ncheck({rows}, {start_method!r})\n"


def script(kind: Path, start_method: str) -> str:
    """Return a program that has the classes of a file in `__main__`."""
    return START + kind.read_text() + END.format(rows="ROWS", start_method=start_method)


def function(kind: Path, start_method: str) -> str:
    """Return a program that has the classes of a file in a function."""
    body = textwrap.indent(kind.read_text(), "    ")
    end = END.format(rows="program()", start_method=start_method)
    return f"{START}def program():\n{body}\n    return ROWS\n{end}"


@pytest.mark.parametrize(
    ("form", "start_method"),
    [(script, "template"), (script, "spawn"), (script, "fork"), (function, "template")],
    ids=["template", "spawn", "fork", "in a function"],
)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.stem for kind in KINDS])
def test_kinds(kind: Path, form: object, start_method: str, tmp_path: Path) -> None:
    assert callable(form)
    program = tmp_path / "program.py"
    program.write_text(form(kind, start_method))
    done = run(str(program))
    assert (done.stdout.endswith(" are well\n"), done.stdout, done.stderr) == (
        True,
        done.stdout,
        "",
    )
