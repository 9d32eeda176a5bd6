"""Objects of the standard library to which functions refer are in a worker what they are here."""

import contextvars
import ctypes
import functools
import gc
import http.cookiejar
import io
import json
import logging
import os
import re
import struct
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import seqtools

Use = Callable[[], Any]

_LOCAL = threading.local()
_VARIABLE = contextvars.ContextVar("variable", default=0)


def put(x: int) -> None:
    """Set what another function reads, which is sent by value."""
    _LOCAL.x = x
    _VARIABLE.set(x)


class Node:
    """Refers weakly to its parent."""

    def __init__(self, parent: "Node | None" = None) -> None:
        self.children: list[Node] = []
        self.parent: Any = None
        if parent is not None:
            self.parent = weakref.ref(parent)
            self.proxy = weakref.proxy(parent)
            parent.children.append(self)

    def depth(self) -> int:
        """Return the number of nodes above this one."""
        return 0 if self.parent is None else self.parent().depth() + 1


def functions() -> dict[str, tuple[Use, Any]]:
    """Return functions and what they return in a worker, of what `functools` has made."""

    class Lazy:
        @functools.cached_property
        def squares(self) -> list[int]:
            return [4]

        @functools.cache  # noqa: B019 -- this is what is tried
        def cached(self) -> list[int]:
            return [5]

        @functools.singledispatchmethod
        def kind(self, _: Any) -> str:
            return "any"

        @kind.register
        def _(self, _: int) -> str:
            return "int"

    @functools.singledispatch
    def kind(_: Any) -> str:
        return "any"

    kind.register(int, lambda _: "int")
    kind.register(Lazy, lambda _: "lazy")
    lazy, power = Lazy(), functools.lru_cache(functools.partial(pow, 2))
    downwards = functools.cmp_to_key(lambda a, b: b - a)

    def register() -> tuple[str, str]:
        before = kind("")
        kind.register(str, lambda _: "str")
        return before, kind("")

    return {
        "cached_property": (lambda: (lazy.squares, lazy.squares is lazy.squares), ([4], True)),
        "cache": (lambda: (lazy.cached(), lazy.cached() is lazy.cached()), ([5], True)),
        "cache of a partial": (lambda: (power(3), power.cache_info().hits), (8, 0)),
        "singledispatch": (lambda: (kind(1.0), kind(True), kind(lazy)), ("any", "int", "lazy")),  # noqa: FBT003
        "register": (register, ("any", "str")),
        "singledispatchmethod": (lambda: (lazy.kind(""), lazy.kind(1)), ("any", "int")),
        "cmp_to_key": (lambda: sorted([1, 3, 2], key=downwards), [3, 2, 1]),
    }


def of_threads() -> dict[str, tuple[Use, Any]]:
    """Return the same of what has a value for each thread or context."""

    class Opened(threading.local):
        def __init__(self, *args: int, **options: int) -> None:
            self.made = args, options, os.getpid() == process(), threading.get_ident()

    def process() -> int:  # is loaded after the object that needs it
        return os.getpid()

    plain, opened = threading.local(), Opened(1, b=2)
    plain.x = threading.Lock()

    def fill() -> list[Any]:
        before = list(vars(plain))
        plain.x = 3
        return [*before, plain.x]

    def own() -> Any:
        args, options, here, thread = opened.made
        return args, options, here, thread == threading.get_ident()

    def through_a_module() -> tuple[int, int]:
        put(7)
        return _LOCAL.x, _VARIABLE.get()

    unset: contextvars.ContextVar[int] = contextvars.ContextVar("unset")
    preset: contextvars.ContextVar[int] = contextvars.ContextVar("preset", default=1)
    changed: contextvars.ContextVar[int] = contextvars.ContextVar("changed", default=1)
    changed.set(2)

    def variables() -> list[int]:
        in_thread: list[int] = []
        thread = threading.Thread(target=lambda: in_thread.append(changed.get()))
        thread.start()
        thread.join()
        return [
            unset.get(5),
            preset.get(),
            preset.get(5),
            changed.get(),
            changed.get(5),
            *in_thread,
        ]

    return {
        "local": (fill, [3]),
        "local with __init__": (own, ((1,), {"b": 2}, True, True)),
        "variables of a module": (through_a_module, (7, 7)),
        "context variables": (variables, [5, 1, 5, 2, 2, 2]),
    }


def others() -> dict[str, tuple[Use, Any]]:
    """Return the same of weak references, and of objects with a lock of their own or C state."""
    root = Node()
    child, gone, lonely = Node(root), weakref.ref(Node()), weakref.ref(kept := Node())
    others.kept = kept  # type: ignore[attr-defined] # here, and not in the pipeline
    method = weakref.WeakMethod(child.depth)
    gc.collect()

    def change() -> list[Any]:
        child.proxy.mark = 6
        return root.mark  # type: ignore[attr-defined,no-any-return]

    class Last(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            self.text = record.getMessage()

    handler, jar = Last(), http.cookiejar.CookieJar()
    header, decoder = struct.Struct("<IH"), json.JSONDecoder(parse_float=str)

    def handle() -> str:
        handler.handle(logging.makeLogRecord({"msg": "hi"}))
        return handler.text

    return {
        "a tree": (lambda: (child.parent() is root, child.depth()), (True, 1)),
        "proxy": (change, 6),
        "a dead reference": (lambda: gone() is None, True),
        "what only a reference has": (lambda: type(lonely()).__name__, "Node"),
        "WeakMethod": (lambda: [method()()], [1]),  # type: ignore[misc]
        "Handler": (handle, "hi"),
        "CookieJar": (lambda: len(jar), 0),
        "Struct": (lambda: header.unpack(header.pack(1, 2)), (1, 2)),
        "JSONDecoder": (lambda: decoder.decode('{"a": 1.50}'), {"a": "1.50"}),
    }


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_they_work_in_a_worker(start_method: str) -> None:
    rows = {**functions(), **of_threads(), **others()}
    uses = [use for use, _ in rows.values()]
    source = seqtools.smap(lambda i: uses[i](), range(len(uses)))
    with seqtools.prefetch(source, 1, "process", start_method=start_method) as p:
        got = dict(zip(rows, p, strict=True))
    assert got == {name: expected for name, (_, expected) in rows.items()}
    alike = {**functions(), **others()}
    assert {name: got[name] for name in alike} == {name: use() for name, (use, _) in alike.items()}


def test_what_is_refused_is_named() -> None:
    library, text = ctypes.CDLL(None), io.TextIOWrapper(io.BytesIO())
    opened = "make what it needs inside the function or, once for each worker, in a function with "
    opened += "@seqtools.per_worker"
    for obj, (reason, advice, works_in_threads) in {
        library: ("cannot pickle a library that ctypes has loaded, None", opened, True),
        text: ("cannot pickle an open file, <_io.BytesIO object", opened, False),
        threading.RLock(): ("cannot pickle '_thread.RLock' object", "hold it in an object.*", True),
    }.items():
        p = seqtools.prefetch(seqtools.smap(lambda x, held=obj: (x, held), [1]), 1, "process")
        end = ", or use method='thread'" if works_in_threads else "$"
        match = f"{re.escape(reason)}.*{advice}{end}"
        with pytest.raises(seqtools.WorkerStartError, match=match):
            p[0]
