"""Prefetches in a notebook: cells run one after the other in a kernel, by a client."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import PIPELINE, environment

pytest.importorskip("ipykernel", reason="ipykernel is not installed: see `make interop`")
pytest.importorskip("nbclient", reason="nbclient is not installed: see `make interop`")

CLIENT = """
import asyncio, json, os, sys
import nbclient, nbformat

def wait_for(gate):
    with open(gate) as file:
        file.read()  # until the cell has closed it

async def main(cells, gate):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    client = nbclient.NotebookClient(notebook, timeout=20, allow_errors=True)
    async with client.async_setup_kernel():
        for number, cell in enumerate(notebook.cells):
            task = asyncio.create_task(client.async_execute_cell(cell, number))
            if "# interrupt me" in cell.source:
                await asyncio.to_thread(wait_for, gate)
                await client.km.interrupt_kernel()
            await task
    told = []
    for cell in notebook.cells:
        for output in cell.outputs:
            if output.output_type == "error":
                told.append(output.ename)
            elif output.output_type == "stream":
                told += [f"{output.name}: {line}" for line in output.text.splitlines()]
            else:
                told.append(output.data["text/plain"])
    print(json.dumps(told))

asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
"""


def told_by(*cells: str, gate: Path | None = None) -> list[Any]:
    """Return what a notebook with these `cells` shows: text, values, names of errors."""
    sources = [textwrap.dedent(cell) for cell in (PIPELINE, *cells)]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, json.dumps(sources), str(gate)],
        env=environment(JUPYTER_PLATFORM_DIRS="1", PYDEVD_DISABLE_FILE_VALIDATION="1"),
        capture_output=True,
        text=True,
        timeout=28,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_functions_and_classes_of_cells() -> None:
    told = told_by(
        "read_all('template', 'spawn', 'fork')",
        """
        p = seqtools.prefetch(seqtools.smap(make, range(50)), 2, "process")
        [point.x for point in p[:3]], type(p[40]) is Point
        """,
        "seqtools.close_all()",
        "p[7].x",
    )
    assert told == ["([10, 11, 12], True)", "17"]


def test_a_class_that_a_later_cell_defines_again() -> None:
    told = told_by(
        """
        p = seqtools.prefetch(seqtools.smap(make, range(200)), 2, "process", max_cached=5)
        items = iter(p)
        old = [next(items), next(items)]
        """,
        """
        First = Point

        class Point:
            def __init__(self, x):
                self.x = -x
        """,
        # workers have the class that there was when they started
        "later = next(items); later.x, type(later) is First, type(old[0]) is First",
        "p.refresh(); later = next(items); later.x, type(later) is Point",
        "offset = 20; p.refresh(); [point.x for point in p[:2]]",
    )
    assert told == ["(12, True, True)", "(-13, True)", "[-20, -21]"]


@pytest.mark.parametrize("method", ["thread", "process"])
def test_a_cell_that_is_interrupted(method: str, tmp_path: Path) -> None:
    gate, told_to_go_on = tmp_path / "gate", tmp_path / "go_on"
    os.mkfifo(gate)
    told = told_by(
        f"""
        import os, threading
        def slow(x):
            if x == 5 and not os.path.exists({str(told_to_go_on)!r}):
                open({str(gate)!r}, "w").close()
                while not os.path.exists({str(told_to_go_on)!r}):
                    threading.Event().wait(0.01)
            return x
        p = seqtools.prefetch(seqtools.smap(slow, range(20)), 2, "{method}")
        items, seen = iter(p), []
        """,
        "for x in items: seen.append(x)  # interrupt me",
        f"open({str(told_to_go_on)!r}, 'w').close()",
        "seen.extend(items); seen == list(range(20))",
        "list(p) == seen",
        gate=gate,
    )
    assert told == ["KeyboardInterrupt", "True", "True"]


def test_what_workers_print_is_shown_in_the_cell_that_reads() -> None:
    told = told_by(
        """
        def loud(x):
            print("loading", x)
            return x
        items = iter(seqtools.prefetch(seqtools.smap(loud, range(4)), 1, "process", max_cached=1))
        """,
        "print(1); next(items)",
        "print(2); list(items)",
    )
    first, second = told.index("stdout: 1"), told.index("stdout: 2")
    assert first < told.index("stdout: loading 0") < told.index("0")
    assert second < told.index("stdout: loading 3") < told.index("[1, 2, 3]")
    assert sorted(text for text in told if "loading" in text) == [
        f"stdout: loading {x}" for x in range(4)
    ]


def test_a_bar_in_a_notebook() -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed: see `make interop`")
    told = told_by(
        """
        from seqtools.instrument import progress
        seen = list(progress(range(3), desc="three"))
        """,
        """
        for x in progress(range(4), desc="four"):
            for y in progress(range(2), desc="two"):
                pass
        """,
        """
        import tqdm.notebook
        bars = []
        def note(bar, close=tqdm.notebook.tqdm.close):
            was_open = not bar.disable
            close(bar)
            if was_open:
                bars.append((bar.desc, bar.n, bar.container.children[1].bar_style, bar.leave))
        tqdm.notebook.tqdm.close = note
        for x in progress(range(3), desc="all"):
            list(progress(range(2), desc="inside"))
        for x in progress(range(9), desc="half"):
            if x == 4:
                break
        bars
        """,
    )
    *shown, bars = told
    assert [text.split(":")[0] for text in shown] == [
        "three",
        "four",
        *["two"] * 4,
        "all",
        *["inside"] * 3,
        "half",
    ]
    inside = ("inside", 2, "", False)
    assert eval(bars) == [  # noqa: S307 -- a list of ours
        *[inside] * 3,
        ("all", 3, "success", True),
        ("half", 4, "danger", True),
    ]


def test_errors_name_cells_and_show_their_source_code() -> None:
    told = told_by(
        """
        import inspect
        def fail(x):
            return 1 / x
        def source(x):
            return inspect.getsource(fail)
        """,
        """
        p = seqtools.prefetch(seqtools.smap(fail, [1, 0]), 1, "process")
        try:
            p[1]
        except seqtools.EvaluationError as error:
            print(error)
            print(*error.__cause__.__notes__)
        """,
        'seqtools.prefetch(seqtools.smap(source, [0]), 1, "process")[0]',
    )
    assert "stdout:   prefetch[1], made at Cell In[3]:1" in told
    k = told.index("stdout:   Cell In[2], line 3, in fail")
    assert told[k + 1] == "stdout:     return 1 / x"
    assert told[-1] == repr("def fail(x):\n    return 1 / x\n")
