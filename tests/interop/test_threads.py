"""Libraries that start threads when a module uses them at its top."""

import importlib.util
from pathlib import Path

import pytest

from tests.scripts import SOURCE, environment, run

# library, what a module does with it at its top, a function that returns x, whether it warns
LIBRARIES = {
    "torch": (
        "torch.set_num_threads(2)\nones = torch.ones(500, 500)\nproduct = ones @ ones",
        "int((ones @ ones)[0, 0]) - 500 + x",
        True,
    ),
    "polars": (
        "frame = polars.DataFrame({'a': [1, 2]})\nframe.lazy().group_by('a').len().collect()",
        "frame.lazy().select(polars.col('a').sum() + x).collect().item() - 3",
        True,
    ),
    "jax": ("import jax.numpy\none = jax.numpy.ones(3)", "int((one + x)[0]) - 1", True),
    "pandas": ("frame = pandas.DataFrame({'a': [1]})", "int((frame + x)['a'].iloc[0]) - 1", False),
    "pyarrow": ("array = pyarrow.array([1, 2])", "array[0].as_py() - 1 + x", False),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_used_at_the_top_of_a_module(library: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: see `make interop`")
    top, value, warns = LIBRARIES[library]
    module = f"import {library}\n{top}\ndef same(x):\n    return {value}\n"
    (tmp_path / "module.py").write_text(module)
    (tmp_path / "main.py").write_text(
        f"import sys\nsys.path.insert(0, {SOURCE!r})\nimport seqtools\nimport module\n"
        "with seqtools.prefetch(seqtools.smap(module.same, range(20)), 2, 'process') as p:\n"
        "    print(list(p) == list(range(20)))\n"
    )
    done = run(str(tmp_path / "main.py"), env=environment(), timeout=110)
    assert done.stdout == "True\n", done.stderr
    assert ("importing 'module' starts" in done.stderr) == warns
