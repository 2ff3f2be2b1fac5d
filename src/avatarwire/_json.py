"""JSON to and from bytes: orjson where it has wheels, the standard library's json elsewhere."""

import sys
from typing import Any

__all__ = ["JSONDecodeError", "dumps", "loads"]

if sys.version_info < (3, 15):
    from orjson import JSONDecodeError, dumps, loads
else:
    import json
    from json import JSONDecodeError, loads

    def dumps(value: Any, /) -> bytes:  # noqa: ANN401 - as orjson's
        """Encode ``value`` compactly as UTF-8."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
