"""What the doctor's checks of either platform have in common."""

import array
import math
import sys

import click

from avatarwire.cli.speech import Settings

__all__ = [
    "CONNECTION_LOST",
    "HERE",
    "NO_PROXY",
    "TONE_HZ",
    "TONE_S",
    "Report",
    "has_account",
    "key_accepted",
    "known_tone",
]

TONE_HZ = 440
TONE_S = 1
HERE = "a platform on this machine; --url or AVATARWIRE_URL names another"
CONNECTION_LOST = "the connection was lost; try again, and check the network if it stays so"
NO_PROXY = "no proxy or firewall keeps WebSockets out"


class Report:
    """Prints one line for each check, and counts what failed."""

    def __init__(self) -> None:
        self.failures: int = 0
        self._told: set[str] = set()

    def ok(self, check: str, words: str) -> None:
        """Tell that it works."""
        self._tell("ok", check, words)

    def failed(self, check: str, words: str) -> None:
        """Tell what is wrong, and what to do."""
        self.failures += 1
        self._tell("failed", check, words)

    def skipped(self, check: str, words: str) -> None:
        """Tell why it could not be looked at."""
        self._tell("skipped", check, words)

    def skip_rest(self, checks: tuple[str, ...]) -> None:
        """Tell which of the checks could not be made."""
        for check in checks:
            if check not in self._told:
                self.skipped(check, "needs what failed above")

    def _tell(self, verdict: str, check: str, words: str) -> None:
        self._told.add(check)
        click.echo(f"{verdict:<9}{check:<15}{' '.join(words.split())}")


def has_account(report: Report, settings: Settings, avatar_check: str) -> bool:
    """Tell whether there is a key and an avatar; a platform on this machine needs none.

    Args:
        report: where to tell what is missing.
        settings: what was given.
        avatar_check: the first check that needs the avatar.
    """
    if settings.url is None:
        return True
    if not settings.api_key:
        report.failed("key", "none is given: set AVATARWIRE_API_KEY or --api-key")
        return False
    if not settings.avatar_id:
        report.failed(avatar_check, "no avatar: set AVATARWIRE_AVATAR_ID or --avatar-id")
        return False
    return True


def key_accepted(settings: Settings) -> str:
    """Say what it means that the key was accepted."""
    return "accepted" if settings.url is not None else "none is needed here, and none was tried"


def known_tone(sample_rate: int) -> bytes:
    """Make a tone that a person recognises, as 16-bit mono PCM."""
    samples = array.array(
        "h",
        (
            round(8000 * math.sin(2 * math.pi * TONE_HZ * n / sample_rate))
            for n in range(sample_rate * TONE_S)
        ),
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
