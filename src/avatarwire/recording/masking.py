"""Keys and tokens, which no recording holds: known by their name, or by what they look like."""

import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["MASK", "masked", "masked_words"]

MASK = "***"

#: Parts of a name, in lower case and without what is no letter or digit.
_PARTS = (
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "authorization",
    "authorisation",
    "apikey",
    "accesskey",
    "privatekey",
    "sessionkey",
    "signature",
    "cookie",
    "bearer",
)
_WHOLE = frozenset({"auth", "key", "jwt", "sig", "pwd", "pass"})
_NO_LETTER = re.compile(r"[^a-z0-9]")
#: What looks like a secret wherever it stands: a JSON web token, an Agora token, an API key, what
#: follows "Bearer", and a parameter of a URL with such a name.
_LOOKS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r"|\b00[67]e[A-Za-z0-9+/=]{32,}"
    r"|\b[srp]k[-_][A-Za-z0-9_-]{12,}"
    r"|(?<=\bBearer )[^\s\"']+"
    r"|(?<=[?&])([A-Za-z0-9_.-]*(?:token|secret|password|passwd|key|sig|signature|auth)"
    r"[A-Za-z0-9_.-]*)=[^&#\s\"']+",
    re.IGNORECASE,
)


def masked(value: Any, redacted: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON without keys and tokens.

    Args:
        value: what a message holds.
        redacted: takes out those that the session knows.
    """
    if isinstance(value, str):
        return masked_words(value, redacted)
    if isinstance(value, Mapping):
        return {
            masked_words(str(name), redacted): _masked_under(str(name), each, redacted)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(each, redacted) for each in value]
    return value


def masked_words(words: str, redacted: Callable[[str], str]) -> str:
    """Return text without what looks like a key or a token, or is known to be one."""
    return _LOOKS.sub(_mask, redacted(words))


def _mask(found: re.Match[str]) -> str:
    return MASK if found[1] is None else f"{found[1]}={MASK}"


def _masked_under(name: str, value: Any, redacted: Callable[[str], str]) -> Any:  # noqa: ANN401
    plain = _NO_LETTER.sub("", name.lower())
    if plain in _WHOLE or plain.endswith("key") or any(part in plain for part in _PARTS):
        # Whatever it is made of; nothing, and yes and no, are no secrets.
        return value if value is None or value == "" or isinstance(value, bool) else MASK
    return masked(value, redacted)
