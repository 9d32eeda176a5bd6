"""Functions that plain pickle can pickle."""

import functools
import io
from collections.abc import Callable
from types import CodeType
from typing import Any, Generic, ParamSpec, TypeVar

from seqtools._core.checks import check_function
from seqtools._core.source_code import SourceText, add_texts, texts_of, with_file

P = ParamSpec("P")
R = TypeVar("R")


class SerializableFunc(Generic[P, R]):
    """A function that is pickled by value: a lambda, a closure, a function of a notebook.

    Workers of `prefetch` need no such wrapper. It is for code that uses plain pickle, such as
    other executors, and for programs written for SeqTools 1.x.

    Args:
        function: The function to call. The class also works as a decorator.

    Raises:
        TypeError: If `function` cannot be called.

    Example:
        >>> import pickle
        >>> double = SerializableFunc(lambda x: 2 * x)
        >>> pickle.loads(pickle.dumps(double))(21)
        42
    """

    def __init__(self, function: Callable[P, R]) -> None:
        check_function(function, "function")
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the function by value, and the source code of a notebook cell with it."""
        import cloudpickle

        files: set[str] = set()

        class Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
            def reducer_override(self, obj: Any) -> Any:
                if type(obj) is not CodeType:
                    return super().reducer_override(obj)
                files.add(obj.co_filename)
                return with_file(self.dispatch_table[CodeType](obj), obj)

        file = io.BytesIO()
        Pickler(file).dump(self.function)
        return _loaded, (file.getvalue(), texts_of(sorted(files)))


def _loaded(pickled: bytes, texts: dict[str, SourceText]) -> SerializableFunc[..., Any]:
    import cloudpickle

    add_texts(texts)
    return SerializableFunc(cloudpickle.loads(pickled))
