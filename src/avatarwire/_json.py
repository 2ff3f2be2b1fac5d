"""JSON to and from bytes: orjson where it has wheels, the standard library's json elsewhere."""

import sys

__all__ = ["dumps", "loads"]

if sys.version_info < (3, 15):
    from orjson import dumps, loads
else:
    from avatarwire._standard_json import dumps, loads
