"""Secrets: shown by nothing that prints values, and kept out of a peer's words."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

__all__ = ["KeepsSecrets", "Secret", "SecretBytes", "are_legal", "redacted", "secrets_in_url"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
MIN_SECRET_LENGTH = 8
#: Shorter pieces of a URL are words.
MIN_TOKEN_LENGTH = 16


class Secret(str):
    """Text that its repr does not show, and so no traceback with locals, dataclass or container.

    In all else it is the text: it compares, formats, encodes and pickles as such, since programs
    send it. What is made of it, such as a slice, is plain text again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SecretBytes(bytes):
    """Bytes with a secret in them, which their repr does not show; see ``Secret``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"


class KeepsSecrets:
    """Base of dataclasses that hold secrets: text in a field outside of the repr is a ``Secret``.

    They are declared with ``eq=False``, and compared here: of an equality that dataclasses made,
    pytest knows that it goes field by field, and prints the text of each that differs.
    """

    __slots__ = ()
    # As of any dataclass that can be changed.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __setattr__(self, name: str, value: object) -> None:
        if type(value) is str and any(f.name == name and not f.repr for f in _fields(self)):
            value = Secret(value)
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in _fields(self))


def _fields(instance: Any) -> Any:  # noqa: ANN401 - the base is no dataclass itself
    return fields(instance)


def are_legal(headers: Mapping[str, str]) -> bool:
    """Return whether HTTP can carry these headers as they are."""
    return all(
        _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
        for name, value in headers.items()
    )


def redacted(words: str, *secrets: str | None) -> str:
    """Take ``secrets`` out of a peer's words, which may quote a request back at us.

    A secret too short to be one stays: taking it out would eat the words.
    """
    # The longest first: one may be a part of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if len(secret) >= MIN_SECRET_LENGTH:
            words = words.replace(secret, "***")
    return words


def secrets_in_url(url: str | None) -> list[str]:
    """Return what of a URL with a one-time token a peer must not be quoted with."""
    if not url:
        return []
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    return [url, *(piece for piece in pieces if len(piece) >= MIN_TOKEN_LENGTH)]
