"""Code of others that comes in between two steps of ours, wherever Python lets it.

Python runs signal handlers where functions begin, behind calls, and where loops go back. It
does not between two assignments, nor between a lock and the block that a `with` guards. So a
place is where our code goes on behind such a step, inside of the same `try`. Finalizers
are left out: Python drops what comes out of them.
"""

import dis
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NoReturn, Self

import seqtools

_FOLDER = Path(seqtools.__file__).parent
_READERS = (str(_FOLDER / "prefetching"), str(_FOLDER / "_core" / "sequence.py"))
PREFETCHING = (*_READERS, str(_FOLDER / "engines" / "thread"))
"""What readers of a prefetch run in their own threads."""
ENGINES = (str(_FOLDER / "engines"),)
"""What they run of an engine of processes."""
EVERYTHING = (*_READERS, *ENGINES)
"""All of that."""

_STEPS = ("CALL", "JUMP_BACKWARD", "POP_JUMP_BACKWARD")
"""How instructions begin after which Python looks for signals, seen by `test_intruders`."""
_NO_STEPS = frozenset({"CALL_INTRINSIC_1", "CALL_INTRINSIC_2", "JUMP_BACKWARD_NO_INTERRUPT"})

_monitoring = getattr(sys, "monitoring", None)
"""By which Python 3.12 tells of instructions; `settrace` does not do that reliably there."""
_TOOL = 4
"""A number that no well-known tool has."""

Place = tuple[CodeType, int]
"""A function, and the offset of the instruction before which something comes in."""


@cache
def _steps(code: CodeType) -> dict[int, Any]:
    """Return the offsets of the steps of `code` that can be interrupted, each with its `try`."""
    found = {}
    for step in dis.get_instructions(code):
        # not behind `yield from`; of Python 3.13 on, there are other bits
        begins = step.opname == "RESUME" and (step.arg or 0) & 3 < 2
        # PRECALL of Python 3.11 is none: there would be one before a lock is given back
        if begins or (step.opname.startswith(_STEPS) and step.opname not in _NO_STEPS):
            found[step.offset] = _guard(code, step.offset)
    return found


@cache
def _stays(code: CodeType, last: int, here: int) -> bool:
    """Return whether a jump back that depends on something was not made."""
    opname = dis.opname[code.co_code[last]]
    return opname.startswith("POP_JUMP_BACKWARD") and here > last


@cache
def _guard(code: CodeType, offset: int) -> int | None:
    """Return where `code` goes on if the step at `offset` raises."""
    entries = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    return next((e.target for e in entries if e.start <= offset < e.end), None)


class Intruder:
    """Calls `act` once, when a place is passed for the n-th time while this is entered.

    Without a place it counts all that are passed. `where` has beginnings of the names of files.
    """

    def __init__(
        self,
        act: Callable[[], object] = lambda: None,
        place: Place | None = None,
        n: int = 0,
        where: tuple[str, ...] = PREFETCHING,
    ) -> None:
        self._where = where
        self._act, self._place, self._n, self._left = act, place, n, n
        self._last: dict[FrameType, int] = {}
        self.passed: Counter[Place] = Counter()
        self.came = False

    def __enter__(self) -> Self:
        """Look at all places of this thread from now on."""
        self._thread = threading.get_ident()
        if _monitoring is None:
            self._before = sys.gettrace()  # what measures coverage goes on after this
            sys.settrace(self._enter)
        else:
            _monitoring.use_tool_id(_TOOL, "intruder")
            _monitoring.register_callback(_TOOL, _monitoring.events.INSTRUCTION, self._instruction)
            _monitoring.set_events(_TOOL, _monitoring.events.INSTRUCTION)
            _monitoring.restart_events()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        if _monitoring is None:
            sys.settrace(self._before)
        else:
            _monitoring.set_events(_TOOL, 0)
            _monitoring.register_callback(_TOOL, _monitoring.events.INSTRUCTION, None)
            _monitoring.free_tool_id(_TOOL)
        self._last.clear()

    @property
    def name(self) -> str:
        """Where it comes in, for messages."""
        assert self._place is not None
        code, offset = self._place
        lines = [line for begin, end, line in code.co_lines() if begin <= offset < end]
        where = f"{Path(code.co_filename).name}:{lines[0] if lines else '?'}"
        return f"interrupted at {where} {code.co_qualname}+{offset}, at time {self._n}"

    def _looks_at(self, code: CodeType) -> bool:
        if self._place is not None:
            return code is self._place[0] and not self.came
        return code.co_filename.startswith(self._where)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        del event
        if not self._looks_at(frame.f_code):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self._before_instruction(frame, frame.f_lasti)
        if self.came:
            frame.f_trace_opcodes = False
            return None
        return self._step

    def _instruction(self, code: CodeType, offset: int) -> Any:
        if not self._looks_at(code):
            return _monitoring.DISABLE
        if threading.get_ident() == self._thread:
            self._before_instruction(sys._getframe(1), offset)
        return None

    def _before_instruction(self, frame: FrameType, here: int) -> None:
        if self.came:  # the last step may have been it
            return
        code = frame.f_code
        last, self._last[frame] = self._last.get(frame), here
        steps = _steps(code)
        if last in steps and steps[last] == _guard(code, here) and not _stays(code, last, here):
            self._pass(frame, (code, here))

    def _pass(self, frame: FrameType, place: Place) -> None:
        if self._place is None:
            self.passed[place] += 1
        elif place == self._place and not _in_finalizer(frame):
            self._left -= 1
            if self._left <= 0:
                self.came = True
                self._act()


def _in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def interrupt() -> NoReturn:
    """Do what Python does with a Ctrl-C."""
    raise KeyboardInterrupt


def everywhere(  # noqa: PLR0913 -- the last ones by name
    scenario: Callable[[Intruder], object],
    act: Callable[[], object],
    first: int = 0,
    step: int = 1,
    where: tuple[str, ...] = PREFETCHING,
    *,
    each_time: bool = False,
) -> Iterator[Intruder]:
    """Yield what came, for every `step`-th place that is passed when `scenario` runs.

    It runs once for each of them, and `act` is called when it has passed there a few times. With
    `each_time`, it runs once for each time that a place is passed.
    """
    counted = Intruder(where=where)
    scenario(counted)
    places = sorted(counted.passed, key=lambda place: (place[0].co_qualname, place[1]))
    if each_time:
        chosen = [(place, n + 1) for place in places for n in range(counted.passed[place])]
        chosen = chosen[first % step :: step]
    else:
        some = places[first % step :: step]
        chosen = [(place, 1 + k % counted.passed[place]) for k, place in enumerate(some)]
    for place, n in chosen:
        intruder = Intruder(act, place, n, where)
        try:
            scenario(intruder)
        except BaseException as error:
            error.add_note(intruder.name)
            raise
        yield intruder
