"""Keys that travel in headers: checked before a library could quote them, and kept out of words."""

import re
from collections.abc import Mapping

__all__ = ["are_legal", "redacted"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
MIN_SECRET_LENGTH = 8


def are_legal(headers: Mapping[str, str]) -> bool:
    """Whether HTTP can carry these headers as they are."""
    return all(
        _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
        for name, value in headers.items()
    )


def redacted(words: str, secret: str) -> str:
    """Take ``secret`` out of a peer's words, which may quote a request back at us.

    A secret too short to be one stays: taking it out would eat the words.
    """
    return words.replace(secret, "***") if len(secret) >= MIN_SECRET_LENGTH else words
