"""The demo, on a folder of a few small files."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seqtools
from seqtools.__main__ import main
from seqtools.demo import files, pipeline, show
from seqtools.instrument.quantities import volume

SOURCE = '"""Module."""\n\ndef f{n}(x):\n    return x + {n}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "code"
    (place / "sub").mkdir(parents=True)
    for n in range(10):
        parent = place if n % 2 else place / "sub"
        (parent / f"m{n}.py").write_text(SOURCE.format(n=n) * (1 + 20 * n))
    (place / "empty.py").touch()
    (place / "notes.txt").write_text("not Python, so left out")
    return place


def numbered(folder: Path, count: int, size: int) -> list[str]:
    for n in range(count):
        (folder / f"{n:03}.py").write_bytes(b"#" * size)
    return [str(folder / f"{n:03}.py") for n in range(count)]


def facts(output: str) -> dict[str, str]:
    """Return the rows of what was printed, by title."""
    return dict(re.findall(r"^(\w[\w -]*?)  +(.+)$", output, flags=re.MULTILINE))


# ---------------------------------------------------------------------------- the pipeline


def test_pipeline_equals_the_same_by_hand(folder: Path) -> None:
    paths = files.find(str(folder))
    rows = [w for path in paths for w in pipeline.windows(pipeline.tokens(pipeline.load(path)))]
    batches = pipeline.build(paths)
    k = pipeline.BATCH
    assert len(paths) == 11
    assert len(rows) == 11 * pipeline.PER_FILE
    assert len(batches) == -(-len(rows) // k)
    for b, batch in enumerate(batches):
        np.testing.assert_array_equal(batch, np.stack(rows[b * k : b * k + k]))
        assert batch.dtype == np.int32


def test_pipeline_opens_nothing_before_it_is_read() -> None:
    batches = pipeline.build(["not there.py"] * 8)
    assert len(batches) == 4
    with pytest.raises(seqtools.EvaluationError, match=r"not there\.py"):
        batches[1]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 5000])
def test_windows(count: int) -> None:
    words = [str(n) for n in range(count)]
    parts = pipeline.windows(words)
    assert [part.shape for part in parts] == [(pipeline.WINDOW,)] * pipeline.PER_FILE
    filled = min(count, pipeline.WINDOW)
    assert all((part[:filled] > 0).all() and not part[filled:].any() for part in parts)
    np.testing.assert_array_equal(parts[0][:filled], pipeline.windows(words[:256])[0][:filled])
    np.testing.assert_array_equal(parts[-1][:filled], pipeline.windows(words[-256:])[0][:filled])


# ---------------------------------------------------------------------------- the files


def test_caches_and_hidden_folders_are_left_out(folder: Path) -> None:
    before = files.find(str(folder))
    for name in ("__pycache__", ".venv", "site-packages"):
        (folder / name).mkdir()
        (folder / name / "x.py").touch()
    assert files.find(str(folder)) == before


def test_too_many_files_are_sampled_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = numbered(tmp_path, 100, 10)
    monkeypatch.setattr(files, "MOST", 25)
    assert files.find(str(tmp_path)) == paths[::4]
    monkeypatch.setattr(files, "MOST", 1)
    assert files.find(str(tmp_path)) == paths[:1]


def test_a_folder_without_python_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no Python files"):
        files.find(str(tmp_path))


def test_the_standard_library_is_there() -> None:
    paths = files.find(files.STANDARD_LIBRARY)
    assert len(paths) > 50
    assert not any("site-packages" in path or "/test/" in path for path in paths)
    assert len(paths) <= files.MOST


# ---------------------------------------------------------------------------- the command


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_demo(folder: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(folder), "--output", str(output), "--latency", "0"]) == 0
    out, err = capsys.readouterr()
    told = facts(out)
    size = sum(path.stat().st_size for path in folder.rglob("*.py"))
    assert err == ""  # no progress bar where nobody watches
    assert told["files"] == f"11, {volume(size)}, from {folder}"
    assert told["inline"].startswith("6 batches in ")
    assert told["2 processes"].startswith("6 batches in ")
    assert told["equal"].startswith("yes")
    assert told["items"] == f"176 windows of 256 tokens, {volume(176 * 256 * 4)}"
    assert " times on " in told["speed-up"]
    stages = out[out.index("\npipeline\n") : out.index("\nreport  ")].splitlines()[2:]
    assert [re.sub(r"\W*(\w+).*", r"\1", stage) for stage in stages[:-1]] == [
        *("prefetch", "batch", "unbatch", "add_cache", "smap", "smap", "smap"),
    ]
    assert "prefetch(nworkers=2, method='process')" in stages[0]
    assert all(re.search(r"  [\d,]+ items   \S+\.py:\d+$", stage) for stage in stages[:-1])
    assert "EvaluationError" not in out
    assert "\n\ntoo short to tell" in out  # six batches
    assert "\nno workers are advised, so for comparison: prefetch(batches, nworkers=2, m" in out
    assert "advice" not in told
    assert told["report"].startswith(str(output / "report.html"))
    assert "</html>" in (output / "report.html").read_text(encoding="utf-8")
    assert json.loads((output / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert len(out.splitlines()) <= 50


def test_the_advice_of_the_profile_is_followed(
    tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered(tmp_path, 40, 100)
    assert main(["demo", str(tmp_path), "--output", str(output), "--latency", "10"]) == 0
    out = capsys.readouterr().out
    told = facts(out)
    assert told["files"].endswith(", each after 10 ms, as from a store in a network")
    assert "\nloading is the bottleneck: " in out
    [(number, arguments)] = re.findall(r"\nfollowing (\d+)\.: prefetch\(batches, (.+)\)\n", out)
    assert f"\n  {number}. prefetch(…, {arguments}) after all of it\n" in out
    assert f"prefetch({arguments})" in out[out.index("\npipeline\n") :]
    expected, now = re.findall(rf"  {number}\. .*\n     about (.+) instead of (.+):", out)[0]
    assert told["advice"].startswith(f"estimated {expected} instead of {now}, measured ")
    assert out.splitlines()[-1].startswith("advice ")


@pytest.mark.parametrize("name", ["report.html", "trace.json"])
def test_what_cannot_be_written_is_told_before_the_work(
    folder: Path, output: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (output / name).mkdir(parents=True)
    with pytest.raises(SystemExit, match="2"):
        main(["demo", str(folder), "--output", str(output)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"{name} cannot be written: Is a directory\n")


@pytest.mark.parametrize(
    ("measured", "others", "found"),
    [
        (0.4, 0.0, "400 ms: it holds"),
        (0.6, 2.0, "600 ms: it holds"),
        (1.5, 0.0, "1.5 s: it helps, but less"),
        (1.5, 1.9, "1.5 s: it helps, but less; other programs computed on 1.9 cores meanwhile"),
        (2.5, 0.0, "2.5 s: it does NOT hold"),
    ],
)
def test_the_outcome_of_an_advice(measured: float, others: float, found: str) -> None:
    before = {"start_seconds": 0.1, "seconds": 1.9}
    after = {"start_seconds": 0.2, "seconds": measured - 0.2, "cores_of_others": others}
    for advice in ({"start": 0.2, "seconds": 0.3}, {"start": None, "seconds": 0.4}):
        told = show.outcome(before, advice, after)
        assert told == f"estimated 500 ms instead of 2 s, measured {found}"
    told = show.outcome(before, {"start": None, "seconds": None}, after)
    assert told.startswith("not estimated, as it was short: 2 s, measured ")


def test_a_file_that_cannot_be_read_is_told(
    folder: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "image.py").write_bytes(b"\x89PNG")
    command = ["demo", "--workers", "1", "--latency", "0", "--output", str(output), str(folder)]
    assert main(command) == 0
    out, err = capsys.readouterr()
    told = facts(out)
    assert err == ""
    assert told["equal"].startswith("yes")
    assert "\nas you wish: prefetch(batches, nworkers=1, method='process')\n" in out
    assert told["1 process"].startswith("6 batches in ")
    assert "1 batch failed, and the loop went on; the first error:" in out
    assert f"item 0 of prefetch failed: SyntaxError: {out_of(str(folder / 'image.py'))}" in out
    assert told["items"].startswith("160 windows")  # of five batches


def out_of(path: str) -> str:
    return f"invalid or missing encoding declaration for '{path}'"


def test_a_difference_is_not_hidden(
    folder: Path, output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(batches: seqtools.LazySequence[pipeline.Codes], title: str) -> show.Epoch:
        epoch = show.Epoch([*batches], seconds=1)
        if title != "inline" and epoch.batches[2] is not None:
            epoch.batches[2][-1, -1] += 1
        return epoch

    monkeypatch.setattr(show, "read", read)
    assert main(["demo", str(folder), "--workers", "1", "--output", str(output)]) == 1
    assert facts(capsys.readouterr().out)["equal"] == "NO: this is a bug"


def test_a_progress_bar_runs_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    show.read(seqtools.smap(np.array, [[1], [2], [3]]), "three")
    written = terminal.getvalue()
    assert "three" in written
    assert "/3 [" in written
    assert written.endswith("\r")  # and is gone at the end


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "there is no folder {}: give another folder"),
        ("empty.py", "{} is not a folder: give another folder"),
        ("bare", "there are no Python files in {}: give another folder"),
    ],
)
def test_a_wrong_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    (folder / "bare").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["demo", str(folder / name)])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    expected = told.format(folder / name) + ", or none for the standard library\n"
    assert err.endswith(expected)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "long"])
def test_a_wrong_latency(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", f"--latency={text}"])
    assert stop.value.code == 2
    assert f"must be 0 or more, and less than 10000, got '{text}'" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_workers(capsys: pytest.CaptureFixture[str], count: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", f"--workers={count}"])
    assert stop.value.code == 2
    assert f"must be at least 1, got '{count}'" in capsys.readouterr().err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^ +demo +read minibatches", out, flags=re.MULTILINE)
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"seqtools {seqtools.__version__}\n"


def test_as_a_program(folder: Path) -> None:
    command = [sys.executable, "-m", "seqtools", "demo", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert facts(done.stdout)["equal"].startswith("yes")


def test_neither_import_nor_help_needs_what_the_demo_needs() -> None:
    code = """
import sys, seqtools
assert "seqtools.demo" not in sys.modules
from seqtools.__main__ import main
main([])
assert not {"numpy", "tqdm", "seqtools.demo.pipeline"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
