"""Whether the framework that an adapter is for is installed, and in a version that it knows."""

import re

from avatarwire.errors import MissingExtraError, UnsupportedVersionError

__all__ = ["require_framework"]


def require_framework(room: str, extra: str, distribution: str, lowest: str, below: str) -> None:
    """Refuse to go on without a framework.

    Args:
        room: the adapter, as it is imported.
        extra: what installs the framework.
        distribution: the framework, as it is installed.
        lowest: the first version that will do.
        below: the first one that will not.

    Raises:
        MissingExtraError: it is not installed.
        UnsupportedVersionError: it is, in another version.
    """
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow

    try:
        installed = version(distribution)
    except PackageNotFoundError:
        raise MissingExtraError(room, extra) from None
    if not _release(lowest) <= _release(installed) < _release(below):
        raise UnsupportedVersionError(
            f"{room} works with {distribution} >={lowest},<{below}, and {installed} is installed:"
            f' pip install "avatarwire[{extra}]"'
        )


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; a release candidate counts as the release."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()
