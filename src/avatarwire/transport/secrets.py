"""Secrets: shown by nothing that prints values, and kept out of a peer's words."""

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "KeepsSecrets",
    "Secret",
    "SecretBytes",
    "are_legal",
    "as_secret",
    "made_of_secrets",
    "redacted",
    "secrets_in_url",
]

T = TypeVar("T")

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


def as_secret(value: T) -> T:
    """Return text as ``Secret``, and anything else, which is no secret yet, as it is."""
    return Secret(value) if type(value) is str else value  # type: ignore[return-value]


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
        if any(f.name == name and not f.repr for f in _fields(self)):
            value = as_secret(value)
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in _fields(self))


def made_of_secrets(cls: type[T]) -> type[T]:
    """Let a dataclass that keeps secrets be made of them: it may refuse what it is made of.

    Then the frame of its ``__init__`` is in the traceback, with the arguments as locals, and with
    the instance, of which some fields may be missing.
    """
    original, original_repr = cls.__init__, cls.__repr__
    signature = inspect.signature(original)
    secret = {each.name for each in _fields(cls) if not each.repr}
    positions = [name in secret for name in signature.parameters]

    @functools.wraps(original)
    def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401, N807
        args = tuple(
            as_secret(value) if place < len(positions) and positions[place] else value
            for place, value in enumerate(args)
        )
        kwargs = {
            name: as_secret(value) if name in secret else value for name, value in kwargs.items()
        }
        original(*args, **kwargs)

    @functools.wraps(original_repr)
    def __repr__(self: T) -> str:  # noqa: N807
        try:
            return original_repr(self)
        except AttributeError:
            return f"<{cls.__name__} that was not made>"

    cls.__repr__ = __repr__  # type: ignore[assignment,method-assign]
    cls.__init__ = __init__  # type: ignore[method-assign]
    return cls


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
