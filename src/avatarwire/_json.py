"""JSON to and from bytes: orjson where it has wheels, the standard library's json elsewhere."""

import sys
from typing import Any

__all__ = ["dumps", "loads"]

if sys.version_info < (3, 15):
    from orjson import dumps
    from orjson import loads as _loads
else:
    from avatarwire._standard_json import dumps
    from avatarwire._standard_json import loads as _loads

_MARK = "\ufeff"
_MARK_BYTES = _MARK.encode()


def loads(text: str | bytes | bytearray) -> Any:  # noqa: ANN401 - whatever JSON says
    """Return what JSON says; a byte order mark before it means nothing.

    Raises:
        ValueError: it is no JSON.
    """
    if isinstance(text, str):
        return _loads(text.removeprefix(_MARK))
    return _loads(text.removeprefix(_MARK_BYTES))
