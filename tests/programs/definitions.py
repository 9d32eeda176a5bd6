"""What a program defines or imports because it uses its name."""

import re

from tests.programs import classes, helpers

MODULES = (
    "array asyncio contextvars datetime decimal functools gc io ipaddress itertools logging "
    "operator os pathlib random re struct subprocess tempfile threading time uuid warnings"
).split()

IMPORTS: dict[str, str] = {
    **{name: f"import {name}" for name in MODULES},
    "np": "import numpy as np",
    **{
        name: f"from {module} import {name}"
        for module, names in {
            "abc": "ABC abstractmethod",
            "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
            "concurrent.futures": "ThreadPoolExecutor",
            "dataclasses": "dataclass field",
            "decimal": "Decimal",
            "enum": "Enum Flag IntEnum",
            "fractions": "Fraction",
            "types": "SimpleNamespace MappingProxyType",
            "typing": "Any Generic NamedTuple Protocol TypedDict TypeVar runtime_checkable",
            "zoneinfo": "ZoneInfo",
            "tests.programs.spoiling": "spoil",
        }.items()
        for name in names.split()
    },
}


def _defined() -> dict[str, str]:
    blocks = re.split(r"\n\n(?=\S)", f"{classes.SOURCE}\n{helpers.SOURCE}".strip())
    found = {}
    for block in blocks:
        match = re.search(r"^(?:class|def) (\w+)|^(\w+) = ", block, re.MULTILINE)
        assert match, block
        found[match[1] or match[2]] = block
    return found


DEFINED = _defined()
"""Source text of classes and functions, by their names, in an order in which they can stand."""

_WORD = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")


def around(text: str) -> tuple[list[str], list[str]]:
    """Return the imports and the definitions that `text` needs."""
    names, left = set[str](), [text]
    while left:
        new = set(_WORD.findall(left.pop())) - names
        names |= new
        left += [DEFINED[name] for name in new if name in DEFINED]
    imports = sorted({line for name, line in IMPORTS.items() if name in names})
    return imports, [block for name, block in DEFINED.items() if name in names]
