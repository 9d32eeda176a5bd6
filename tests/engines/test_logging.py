"""Log records and warnings of workers reach the handlers and filters of the consumer."""

import contextlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools
from seqtools.engines.dispatch import forwarded, output_display
from seqtools.engines.process import output
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.flags import Flags
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.engines.shown import lines_of, say, shown
from tests.engines.test_outlets import sent_by
from tests.scripts import run

MakeFifo = Callable[[], Fifo]
Ahead = Callable[..., seqtools.Prefetch[Any]]
PROCESSES = ["process", "spawn", "fork"]


@pytest.fixture(params=PROCESSES)
def ahead(request: pytest.FixtureRequest) -> Ahead:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param] | more)


class Notes(logging.Handler):
    """A handler that keeps records, and the threads that call it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.threads: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.threads.add(threading.get_ident())

    def messages(self) -> list[str]:
        """Return the messages of all records."""
        return [record.getMessage() for record in self.records]


@contextlib.contextmanager
def handled(name: str, level: int = logging.INFO) -> Iterator[Notes]:
    """Give a logger a handler and a level."""
    logger, handler = logging.getLogger(name), Notes()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class Extra:
    """Something to be logged, of a class that workers cannot import."""

    def __init__(self, value: int) -> None:
        self.value = value


Extra.__module__ = "__main__"


def test_records_reach_the_handlers_of_the_consumer(ahead: Ahead) -> None:
    log = logging.getLogger("tests.of.logging")

    def get(x: int) -> int:
        say("printed", x)
        log.info("item %d", x, extra={"given": Extra(x), "odd": lambda: x})
        log.debug("not %d", x)
        return x

    def hook(number: int) -> None:
        logging.getLogger("tests").info("worker %d", number)

    p = ahead(seqtools.smap(get, range(20)), start_hook=hook, end_hook=hook)
    with handled("tests") as notes, shown() as out, p:
        for x in p:
            assert f"item {x}" in notes.messages()
            assert f"printed {x}" in lines_of(out)
    found = sorted(notes.messages())
    assert found == sorted([*(f"item {x}" for x in range(20)), *2 * ["worker 0", "worker 1"]])
    assert notes.threads == {threading.get_ident()}
    for record in notes.records:
        text = record.getMessage()
        of_item = int(text.split()[1]) if text.startswith("item") else None
        assert record.seqtools_item == of_item  # type: ignore[attr-defined]
        assert f"(pid {record.process})" in record.seqtools_worker  # type: ignore[attr-defined]
        assert record.process != os.getpid()
        if of_item:
            assert type(record.given) is Extra  # type: ignore[attr-defined]
            assert "lambda" in record.odd  # type: ignore[attr-defined]


def test_what_an_exception_says_is_logged(ahead: Ahead) -> None:
    def get(x: int) -> int:
        try:
            {}["no such file"]
        except KeyError:
            logging.getLogger("tests").exception("it failed")
        return x

    with handled("tests") as notes, ahead(seqtools.smap(get, [1])) as p:
        assert p[0] == 1
    [record] = notes.records
    text = logging.Formatter().format(record)
    assert text.startswith("it failed\nTraceback (most recent call last):\n")
    assert text.endswith("KeyError: 'no such file'")


def test_levels_and_filters_of_the_consumer_apply(ahead: Ahead) -> None:
    log = logging.getLogger("tests.quiet")

    def get(x: int) -> bool:
        log.info("item %d", x)
        logging.info("of the root")  # noqa: LOG015 -- as programs do
        return log.isEnabledFor(logging.INFO)

    filters = [lambda record: record.seqtools_item != 3]
    with handled("tests.quiet") as notes, handled("tests") as others:
        log.filters[:], log.propagate = filters, False
        try:
            with ahead(seqtools.smap(get, range(5))) as p:
                assert all(p)
            log.setLevel(logging.ERROR)  # so that workers do not make the record
            with ahead(seqtools.smap(get, range(5))) as p:
                assert not any(p)
            log.setLevel(logging.INFO)
            logging.disable(logging.INFO)
            with ahead(seqtools.smap(get, range(5))) as p:
                assert not any(p)
        finally:
            logging.disable(logging.NOTSET)
            log.filters[:], log.propagate = [], True
    assert sorted(notes.messages()) == [f"item {x}" for x in (0, 1, 2, 4)]
    assert not others.records


def test_loggers_that_are_disabled_are_so_in_workers(ahead: Ahead) -> None:
    made: list[int] = []

    class Told:
        def __str__(self) -> str:
            made.append(1)
            return "formatted"

    def get(_: int) -> list[Any]:
        loggers = [logging.getLogger(f"tests.{name}") for name in ("off", "off.below", "on")]
        loggers[0].error("%s", Told())
        enabled = [each.isEnabledFor(logging.ERROR) for each in loggers]
        return [*enabled, loggers[1].getEffectiveLevel(), len(made)]

    off = logging.getLogger("tests.off")
    with handled("tests.off", logging.ERROR) as notes:
        off.disabled = True
        try:
            with ahead(seqtools.smap(get, [0])) as p:
                assert p[0] == get(0) == [False, True, True, logging.ERROR, 0]
        finally:
            off.disabled = False
    assert not notes.records


def test_the_flags_say_what_the_consumer_logs() -> None:
    """So a worker that is not ours, as on a cluster, knows it."""
    names = ["root", "tests", "tests.off", "tests.off.below", "tests.none.at.all"]
    off = logging.getLogger("tests.off")
    with handled("tests.off.below", logging.ERROR), handled("tests", logging.INFO):
        off.disabled = True
        try:
            flags = Flags.now()
            for name in names:
                logger = logging.getLogger(None if name == "root" else name)
                for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                    assert flags.is_enabled(name, level) == logger.isEnabledFor(level)
        finally:
            off.disabled = False


def test_a_root_that_logs_all_does_so_in_workers(ahead: Ahead) -> None:
    def get(x: int) -> int:
        logging.getLogger("tests.of.all").debug("item %d", x)
        return x

    with handled("", logging.NOTSET) as notes, ahead(seqtools.smap(get, range(3))) as p:
        assert list(p) == [0, 1, 2]
    assert {f"item {x}" for x in range(3)} <= {*notes.messages()}


def test_levels_have_the_name_of_the_consumer_or_else_of_the_worker(ahead: Ahead) -> None:
    def hook() -> None:
        logging.addLevelName(33, "THIRTY")
        logging.addLevelName(34, "FOUR")

    def get(x: int) -> int:
        logging.getLogger("tests").log(33, "%d", x)
        logging.getLogger("tests").log(34, "%d", x)
        return x

    logging.addLevelName(34, "FORTY")
    try:
        with handled("tests") as notes, ahead(seqtools.smap(get, [1]), start_hook=hook) as p:
            assert p[0] == 1
    finally:
        logging.addLevelName(34, "Level 34")
    assert [record.levelname for record in notes.records] == ["THIRTY", "FORTY"]


class Tracer(logging.Logger):
    """A class of loggers that a start hook chooses."""

    def trace(self, text: str) -> None:
        self.log(5, text)


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_hook_chooses_the_class_of_loggers_that_have_a_level(start_method: Any) -> None:
    def below(_: int) -> int:  # of a worker of a worker
        return logging.getLogger("tests.later.below").getEffectiveLevel()

    def get(_: int) -> list[Any]:
        with seqtools.prefetch(seqtools.smap(below, [0]), 1, "process") as p:
            levels = [p[0], below(0)]
        logging.getLogger("tests.later").trace("traced")  # type: ignore[attr-defined]
        return [*levels, logging.raiseExceptions]

    def hook() -> None:
        logging.setLoggerClass(Tracer)

    p = seqtools.prefetch(
        seqtools.smap(get, [0]), 1, "process", start_method=start_method, start_hook=hook
    )
    logging.raiseExceptions = False
    try:
        with handled("tests.later", 5) as notes, p:
            assert p[0] == [5, 5, False]
    finally:
        logging.raiseExceptions = True
    assert notes.messages() == ["traced"]


def test_a_logger_has_its_class_in_workers(ahead: Ahead) -> None:
    class Named(logging.Logger):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.initial = name[0]

        def hello(self) -> None:
            log.warning("hello %s", self.initial)

    def get(_: int) -> list[Any]:
        log.hello()
        found = logging.getLogger("tests.named.one")
        return [type(log).__name__, found is log, log.getEffectiveLevel(), log.initial]

    before = logging.getLoggerClass()
    logging.setLoggerClass(Named)
    try:
        log: Any = logging.getLogger("tests.named.one")
    finally:
        logging.setLoggerClass(before)
    with handled("tests.named") as notes, ahead(seqtools.smap(get, [0])) as p:
        assert p[0] == ["Named", True, logging.INFO, "t"]
    assert notes.messages() == ["hello t"]


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_loggers_above_one_of_a_class_are_not_of_that_class(start_method: Any) -> None:
    class Named(logging.Logger):
        pass

    def get(_: int) -> list[str]:
        above = log.parent
        return [type(each).__name__ for each in (log, above) if each is not None]

    with handled("tests.plain") as _:
        before = logging.getLoggerClass()
        logging.setLoggerClass(Named)
        try:
            log = logging.getLogger("tests.plain.named")
        finally:
            logging.setLoggerClass(before)
        with seqtools.prefetch(
            seqtools.smap(get, [0]), 1, "process", start_method=start_method
        ) as p:
            assert p[0] == ["Named", "Logger"]


def test_no_record_is_handled_twice(ahead: Ahead, capfd: pytest.CaptureFixture[str]) -> None:
    ours = logging.StreamHandler(sys.__stderr__)

    def hook() -> None:
        log = logging.getLogger("tests.own")
        log.addHandler(logging.StreamHandler(sys.stdout))  # one that the user wants in workers

    def get(x: int) -> int:
        logging.getLogger("tests.own").warning("item %d", x)
        logging.getLogger("tests").warning("once %d", x)
        return x

    logging.getLogger("tests").addHandler(ours)
    try:
        p = ahead(seqtools.smap(get, [5]), start_hook=hook)
        with shown() as out, handled("tests") as notes, p:
            assert p[0] == 5
        assert lines_of(out) == ["item 5"]
    finally:
        logging.getLogger("tests").removeHandler(ours)
    assert notes.messages() == ["item 5", "once 5"]
    assert capfd.readouterr().err.splitlines() == ["item 5", "once 5"]


def test_who_logs_in_the_midst_of_a_message_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, outlets = os.write, list[output.OutputPipe]()

    def interrupted(fd: int, data: Any) -> int:
        if outlets:  # a finalizer
            outlets.pop().note(b"x" * 9000)
        return write(fd, data)

    def act(outlet: output.OutputPipe) -> None:
        outlets.append(outlet)
        outlet.answer((0, 0, 0, result_messages.READY, 0.0))

    monkeypatch.setattr(os, "write", interrupted)
    first, *pieces = sent_by(act)
    assert first.kind == result_messages.READY
    assert {piece.kind for piece in pieces} == {result_messages.NOTE}
    heard = output_display.WorkerOutput()
    [*begun, note] = [heard.add_note(p.block, p.done, p.parts[0]) for p in pieces]
    assert note == b"x" * 9000
    assert not any(begun)
    assert heard.add_note(0, 2, b"cut off") is None
    assert heard.add_note(0, 1, b"whole") == b"whole"
    assert heard.add_note(1, 2, b"its end") is None


def test_many_threads_that_log_while_answers_are_sent(ahead: Ahead) -> None:
    log = logging.getLogger("tests")

    class Logs:
        def __del__(self) -> None:
            log.info("a finalizer")

    def get(x: int) -> bytes:
        def act(k: int) -> None:
            for n in range(20):
                log.info("%d %d %d %s", x, k, n, "y" * 5000)
                garbage = [Logs()]
                garbage.append(garbage)  # type: ignore[arg-type]

        threads = [threading.Thread(target=act, args=(k,)) for k in range(3)]
        for thread in threads:
            thread.start()
        if x == 5:
            for thread in threads:
                thread.join()
        return bytes(200_000)

    with handled("tests") as notes, ahead(seqtools.smap(get, range(6)), nworkers=1) as p:
        assert [len(value) for value in p] == [200_000] * 6
    found = [message.split()[:3] for message in notes.messages() if message[0] == "5"]
    assert sorted(found) == sorted(["5", f"{k}", f"{n}"] for k in range(3) for n in range(20))


def test_a_filter_sees_plain_arguments(ahead: Ahead) -> None:
    def get(x: int) -> int:
        log.info("item %d of %s", x, "four")
        log.info("none")
        log.info("a list: %s", [x])
        return x

    def odd(record: logging.LogRecord) -> bool:
        seen.append((record.msg, record.args))
        return not record.args or record.args[0] % 2 == 1  # type: ignore[index, operator]

    log, seen = logging.getLogger("tests.arguments"), list[Any]()
    with handled("tests.arguments") as notes:
        log.filters[:] = [odd]
        try:
            with ahead(seqtools.smap(get, range(2))) as p:
                assert list(p) == [0, 1]
        finally:
            log.filters[:] = []
    expected = ["a list: [0]", "a list: [1]", "item 1 of four", "none", "none"]
    assert sorted(notes.messages()) == expected
    assert {("item %d of %s", (x, "four")) for x in (0, 1)} | {("a list: [0]", None)} <= {*seen}


class _Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(record.getMessage())


def _fails_at_two(record: logging.LogRecord) -> bool:
    if record.args == (2,):
        raise KeyError("mine")
    return True


@pytest.mark.parametrize("of_handler", [False, True])
def test_a_filter_that_raises_loses_its_record_alone(
    ahead: Ahead, monkeypatch: pytest.MonkeyPatch, *, of_handler: bool
) -> None:
    monkeypatch.setattr(output_display._shower, "_complained", set[str]())
    log = logging.getLogger("tests.filtered")

    def get(x: int) -> int:
        log.info("item %d", x)
        return x

    with handled("tests.filtered") as notes:
        whose: logging.Filterer = notes if of_handler else log
        whose.addFilter(_fails_at_two)
        name = "handler <Notes (NOTSET)>" if of_handler else "logger 'tests.filtered'"
        words = f"because filter _fails_at_two of {name} raised KeyError: 'mine'"
        try:
            with (
                ahead(seqtools.smap(get, [0, 2, 1, 2, 3])) as p,
                pytest.warns(RuntimeWarning, match=re.escape(words)) as told,
            ):
                assert list(p) == [0, 2, 1, 2, 3]
        finally:
            whose.removeFilter(_fails_at_two)
    assert len(told) == 1
    assert sorted(notes.messages()) == ["item 0", "item 1", "item 3"]


def test_a_handler_that_raises_is_named_once(ahead: Ahead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_display._shower, "_complained", set[str]())

    def get(x: int) -> int:
        logging.getLogger("tests.failing.below").info("item %d", x)
        return x

    logger, handler = logging.getLogger("tests.failing"), _Failing()
    words = (
        "log records or warnings of workers are lost, because handler <_Failing (NOTSET)>, "
        "called for logger 'tests.failing.below', raised OSError: item 0"
    )
    with handled("tests.failing") as notes:
        logger.addHandler(handler)
        try:
            with (
                ahead(seqtools.smap(get, range(3)), nworkers=1) as p,
                pytest.warns(RuntimeWarning, match=re.escape(words)) as told,
            ):
                assert list(p) == [0, 1, 2]
        finally:
            logger.removeHandler(handler)
    assert len(told) == 1
    assert sorted(notes.messages()) == ["item 0", "item 1", "item 2"]


def test_what_cannot_be_loaded_is_told() -> None:
    forwarded.take(b"no pickle", lambda _: 1 / 0)
    with pytest.warns(RuntimeWarning, match="has logged cannot be loaded: ZeroDivisionError"):
        output_display.show()


class Plain(UserWarning):
    """A warning of a script."""


Plain.__module__ = "__main__"


def test_warnings_are_shown_once_by_the_filters_of_the_consumer(ahead: Ahead) -> None:
    class Odd(UserWarning):
        """A warning that cannot be pickled, whose class takes other arguments."""

        def __init__(self, code: int, *, why: str) -> None:
            super().__init__(code, why)
            self.free = lambda: code

        def __str__(self) -> str:
            return f"odd, because {self.args[1]}"

    def get(x: int) -> int:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("plain", Plain, stacklevel=1)
        warnings.warn(Odd(3, why="so"), stacklevel=1)
        return x

    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("default")
        with ahead(seqtools.smap(get, range(20)), max_cached=20) as p:
            assert list(p) == list(range(20))
    assert [(each.category.__name__, str(each.message)) for each in caught] == [
        ("DeprecationWarning", "old"),
        ("Plain", "plain"),
        ("UserWarning", "odd, because so"),
    ]
    assert {each.filename for each in caught} == {__file__}
    assert caught[1].category is Plain


def test_warnings_arrive_with_their_attributes_or_else_as_text(ahead: Ahead) -> None:
    class Code(UserWarning):
        def __init__(self, code: Any) -> None:
            super().__init__(f"code {code}")
            self.code = code

        def __reduce__(self) -> Any:
            return Code, (self.code,)

    class Forged(UserWarning):
        def __reduce__(self) -> Any:
            return (Warning, ("another",)) if str(self) == "other text" else (int, ("no number",))

    def get(x: int) -> int:
        for each in (Code(7), Code(lambda: x), Forged("other text"), Forged("unloadable")):
            warnings.warn(each, stacklevel=1)
        return x

    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("always")
        with ahead(seqtools.smap(get, [1])) as p:
            assert p[0] == 1
    first, second, *others = (each.message for each in caught)
    assert type(first) is Code
    assert first.code == 7
    assert str(second).startswith("code <function")
    assert not hasattr(second, "code")
    assert [(type(each), str(each)) for each in others] == [
        (Forged, "other text"),
        (Forged, "unloadable"),
    ]


@pytest.mark.parametrize("engine", ["inline", "thread", *PROCESSES])
def test_warnings_are_errors_where_the_consumer_says_so(engine: str) -> None:
    class Own(UserWarning):
        pass

    def get(x: int) -> int:
        if x == 3:
            warnings.warn("new", DeprecationWarning, stacklevel=1)
        warnings.warn("careful", Own, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return x

    source = seqtools.smap(get, range(4))
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("error", "care", Own)
        warnings.filterwarnings("error", "new", DeprecationWarning)
        with seqtools.prefetch(source, **OPTIONS[engine]) as p:
            with pytest.raises(seqtools.EvaluationError) as caught:
                p[0]
            assert type(caught.value.__cause__) is Own
            with pytest.raises(seqtools.EvaluationError, match="DeprecationWarning: new"):
                p[3]
        warnings.filterwarnings("ignore", "care", Own)
        with seqtools.prefetch(source, **OPTIONS[engine]) as p:
            assert list(p[:3]) == [0, 1, 2]


def test_warnings_of_no_module_are_shown(ahead: Ahead) -> None:
    def get(x: int) -> Any:
        warnings.warn("above all callers", UserWarning, stacklevel=1000)
        warnings.warn_explicit("of a template", UserWarning, "page.py", 3)
        return eval(compile("x is 1", "<formula>", "eval"), {"x": x})  # noqa: S307 -- warns

    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("always")
        with ahead(seqtools.smap(get, [1])) as p:
            assert p[0] is True
    places = [(each.filename, each.lineno) for each in caught]
    assert places == [("sys", 1), ("page.py", 3), ("<formula>", 1)]


def test_a_filter_that_was_set_later_raises_in_the_reader(ahead: Ahead) -> None:
    def get(x: int) -> int:
        if x == 3:
            warnings.warn("careful", UserWarning, stacklevel=1)
        return x

    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("always")
        with ahead(seqtools.smap(get, range(40)), nworkers=1, max_cached=1) as p:
            assert p[0] == 0
            warnings.simplefilter("error")
            items, read = iter(p), list[int]()
            with pytest.raises(UserWarning, match="careful"):
                read.extend(items)
            assert [*read, *items] == list(range(40))


def test_a_program_without_logging_prints_as_inline() -> None:
    program = (
        "import logging, seqtools, sys\n"
        "def get(x):\n"
        "    logging.getLogger('a').warning('item %d', x)\n"
        "    logging.getLogger('a').info('nothing')\n"
        "    return x\n"
        "p = seqtools.prefetch(seqtools.smap(get, range(2)), 1, 'process')\n"
        "print(list(p))\n"
    )
    done = run("-c", program)
    assert (done.stdout, done.stderr) == ("[0, 1]\n", "item 0\nitem 1\n")


@pytest.mark.parametrize("how", ["filter", "defaults"])
@pytest.mark.parametrize("options", ["0", "1, 'thread'", "1, 'process'"])
def test_one_format_for_all_workers(options: str, how: str) -> None:
    program = (
        "import logging, logging.config, seqtools\n"
        "class AddWorker(logging.Filter):\n"
        "    def filter(self, record):\n"
        "        vars(record).setdefault('seqtools_worker', record.threadName)\n"
        "        vars(record).setdefault('seqtools_item', '-')\n"
        "        return True\n"
        "text = '%(seqtools_item)s: %(message)s'\n"
        "defaults = {'seqtools_item': '-'}\n"
        "logging.config.dictConfig({\n"
        "    'version': 1,\n"
        "    'filters': {'worker': {'()': AddWorker}},\n"
        "    'formatters': {\n"
        "        'filter': {'format': text},\n"
        "        'defaults': {'()': 'logging.Formatter', 'fmt': text, 'defaults': defaults},\n"
        "    },\n"
        "    'handlers': {'out': {\n"
        "        'class': 'logging.StreamHandler',\n"
        f"        'filters': ['worker'] * ({how!r} == 'filter'),\n"
        f"        'formatter': {how!r},\n"
        "    }},\n"
        "    'root': {'handlers': ['out']},\n"
        "})\n"
        "def f(x):\n"
        "    logging.warning('at %d', x)\n"
        f"with seqtools.prefetch(seqtools.smap(f, range(2)), {options}) as p:\n"
        "    list(p)\n"
    )
    items = "01" if "process" in options else "--"
    assert run("-c", program).stderr == f"{items[0]}: at 0\n{items[1]}: at 1\n"
