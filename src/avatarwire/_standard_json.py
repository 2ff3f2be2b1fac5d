"""JSON by the standard library, which takes and refuses what orjson does.

Two differences are left: of what is no JSON value, orjson also writes dataclasses, dates, UUIDs
and the like; and a number in exponent form may be spelt in another way.
"""

import json
import math
import re
from enum import Enum
from typing import Any

__all__ = ["dumps", "loads"]

# orjson's limits.
_MAX_WRITTEN_DEPTH = 254
_MAX_READ_DEPTH = 1024
_MIN_INTEGER = -(2**63)
_MAX_INTEGER = 2**64 - 1
_LONGEST_INTEGER = len(str(_MIN_INTEGER))

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def dumps(value: Any, /) -> bytes:  # noqa: ANN401 - as orjson's
    """Encode ``value`` compactly as UTF-8; NaN and the infinities become ``null``.

    Raises:
        TypeError: it has no JSON form: another type, a key that is not exactly str, an integer
            over 64 bits, a lone surrogate, more than 254 levels.
    """
    try:
        return _ENCODER.encode(_plain(value, _MAX_WRITTEN_DEPTH)).encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise TypeError(f"no JSON form: {exc}") from exc


def loads(message: str | bytes | bytearray | memoryview, /) -> Any:  # noqa: ANN401 - as orjson's
    """Decode UTF-8 or text; an integer over 64 bits becomes a float.

    Raises:
        ValueError: not JSON, a number that no float can hold, a lone surrogate, more than 1024
            levels (or fewer, where the interpreter reaches its own limit first).
    """
    if isinstance(message, str):
        message.encode()  # refuses a lone surrogate
        text = message
    else:
        text = str(message, "utf-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if text.count("[") + text.count("{") > _MAX_READ_DEPTH:
        _require_shallow(value)
    if _SURROGATE.search(text):
        _ENCODER.encode(value).encode()  # refuses a lone one
    return value


def _plain(value: Any, depth: int) -> Any:  # noqa: ANN401
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise TypeError("Integer exceeds 64-bit range")
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list) or type(value) is tuple:
        return _plain_container(value, depth)
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def _plain_container(value: Any, depth: int) -> Any:  # noqa: ANN401
    if depth == 0:
        raise TypeError("Recursion limit reached")
    if not isinstance(value, dict):
        return [_plain(inner, depth - 1) for inner in value]
    if any(type(key) is not str for key in value):
        raise TypeError("Dict key must be str")
    return {key: _plain(inner, depth - 1) for key, inner in value.items()}


def _require_shallow(value: Any) -> None:  # noqa: ANN401
    level = [value]
    for _ in range(_MAX_READ_DEPTH):
        containers = [each for each in level if isinstance(each, dict | list)]
        level = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    if any(isinstance(each, dict | list) for each in level):
        raise ValueError("nested too deeply")


def _integer(digits: str) -> float:
    if len(digits) <= _LONGEST_INTEGER and _MIN_INTEGER <= int(digits) <= _MAX_INTEGER:
        return int(digits)
    return _real(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number that no float can hold")
    return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_refuse)
