"""JSON to and from bytes: orjson where it has wheels, the standard library's json elsewhere.

Both refuse a lone half of a surrogate pair, which is no Unicode: a model's tokens are cut within an
emoji, a browser cuts a text by its length. Here such text is mended instead: halves side by side
become the character that they are of, and one that is alone becomes U+FFFD.
"""

import math
import operator
import re
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["as_words", "dumps", "loads", "require_writable"]

if sys.version_info < (3, 15):
    import orjson as _library
else:
    from avatarwire import _standard_json as _library

_MARK = "\ufeff"
_MARK_BYTES = _MARK.encode()
# No deeper value can be written.
_MAX_DEPTH = 254
#: Of what goes into a message, which has some levels of its own.
MAX_VALUE_DEPTH = 250
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Every escape, so that none begins within another; a pair is left as it is.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def dumps(value: Any, /) -> bytes:  # noqa: ANN401 - as orjson's
    """Encode ``value`` compactly as UTF-8; NaN and the infinities become ``null``.

    Raises:
        TypeError: it has no JSON form.
    """
    try:
        return _library.dumps(value)
    except TypeError:
        whole = _mended_within(value, {}, _MAX_DEPTH)
        if whole is value:
            raise
    return _library.dumps(whole)


def loads(message: str | bytes | bytearray | memoryview, /) -> Any:  # noqa: ANN401 - as orjson's
    """Decode UTF-8 or text; a byte order mark before it means nothing.

    Raises:
        ValueError: not JSON.
    """
    message = _without_mark(message)
    try:
        return _library.loads(message)
    except ValueError:
        text = message if isinstance(message, str) else str(message, "utf-8")
        whole = _ESCAPE.sub(_without_lone, _mended(text))
        if whole == text:
            raise
    return _library.loads(whole)


def as_words(value: object) -> str:
    """Return what a peer has put where words belong: null is none, and all else but text is JSON.

    What is too deep to be written is an ellipsis.
    """
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else dumps(value).decode()
    except TypeError:
        return "…"


def require_writable(name: str, value: object) -> None:
    """Refuse, anywhere in ``value``, what JSON cannot carry although its type can be written.

    Raises:
        ValueError: NaN, an infinity, an integer over 64 bits, or too many levels; under ``name``
            and the way to where it is.
    """
    _require_writable(name, value, MAX_VALUE_DEPTH)


def _require_writable(name: str, value: object, depth: int) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, not {value}: JSON cannot carry it")
    elif isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise ValueError(
                f"{name} must be within 64 bits, not an integer of {value.bit_length()} bits: JSON"
                " cannot carry it"
            )
    elif isinstance(value, Mapping | list | tuple):
        if depth == 0:
            raise ValueError(
                f"{name.partition('[')[0]} has more than {MAX_VALUE_DEPTH} levels, or holds itself:"
                " make it flatter"
            )
        inside = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in inside:
            _require_writable(f"{name}[{key!r}]", inner, depth - 1)


def _without_mark(
    message: str | bytes | bytearray | memoryview,
) -> str | bytes | bytearray | memoryview:
    if isinstance(message, str):
        return message.removeprefix(_MARK)
    if isinstance(message, memoryview):
        return message[len(_MARK_BYTES) :] if message[:3] == _MARK_BYTES else message
    return message.removeprefix(_MARK_BYTES)


def _mended(text: str) -> str:
    """Return text whose surrogate pairs are joined; a half without the other becomes U+FFFD."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _without_lone(escape: re.Match[str]) -> str:
    return escape[0] if escape["lone"] is None else "\\ufffd"


def _mended_within(value: Any, known: dict[int, Any], depth: int) -> Any:  # noqa: ANN401
    """Return ``value`` with its text mended, or itself when nothing is to be mended.

    Args:
        value: anything, also what has no JSON form or holds itself.
        known: what became of each container so far, by its id.
        depth: how many levels to go down at the most.
    """
    if isinstance(value, str):
        return _mended(value)
    if depth == 0 or not isinstance(value, dict | list | tuple):
        return value
    if id(value) in known:
        return known[id(value)]
    known[id(value)] = value
    whole: Any
    if isinstance(value, dict):
        whole = {
            _mended_within(key, known, depth - 1): _mended_within(inner, known, depth - 1)
            for key, inner in value.items()
        }
        is_same = all(map(operator.is_, (*value, *value.values()), (*whole, *whole.values())))
    else:
        whole = [_mended_within(inner, known, depth - 1) for inner in value]
        is_same = all(map(operator.is_, value, whole))
    if not is_same:
        known[id(value)] = whole
    return known[id(value)]
