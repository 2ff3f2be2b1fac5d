"""What values may be, asked in the same way everywhere: a bool is no number."""

import operator
from numbers import Real
from typing import SupportsIndex, TypeGuard, cast

__all__ = [
    "UNUSABLE_KEY",
    "is_any_real",
    "is_any_whole",
    "is_number",
    "is_usable_key",
    "is_whole",
    "whole_number",
]

#: What is told of a key for which ``is_usable_key`` is false.
UNUSABLE_KEY = (
    "api_key has a space or a line break at an end, or characters that no HTTP header"
    " can carry: check how it was copied"
)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is an int and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is an int or a float and no bool; it may be NaN or infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_any_whole(value: object) -> bool:
    """Return whether a value is an integer of any type, such as NumPy's, and no bool."""
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


def is_any_real(value: object) -> TypeGuard[Real]:
    """Return whether a value is a real number of any type, such as NumPy's, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(name: str, value: object) -> int:
    """Return an integer of any type, such as NumPy's, as a plain one.

    Raises:
        TypeError: not an integer, under ``name``.
    """
    if is_any_whole(value):
        return operator.index(cast("SupportsIndex", value))
    raise TypeError(f"{name} must be a whole number, not {value!r}")


def is_usable_key(key: str) -> bool:
    """Return whether an API key can be sent as it is in an HTTP header."""
    return key.isascii() and key.isprintable() and key == key.strip()
