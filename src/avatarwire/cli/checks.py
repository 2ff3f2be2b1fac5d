"""What the doctor's checks of all platforms have in common."""

import array
import math
import sys
from functools import cached_property

import click

from avatarwire.cli.job import Settings, Speaker
from avatarwire.cli.output import shown
from avatarwire.streaming import Playout

__all__ = [
    "CONNECTION_LOST",
    "HERE",
    "NO_PROXY",
    "Checklist",
    "Tone",
    "key_accepted",
    "lacks_account",
]

TONE_HZ = 440
TONE_S = 1
HERE = "a platform on this machine; --url or AVATARWIRE_URL names another"
CONNECTION_LOST = "the connection was lost; try again, and check the network if it stays so"
NO_PROXY = "no proxy or firewall keeps WebSockets out"


class Checklist:
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
        click.echo(f"{verdict:<9}{check:<15}{shown(' '.join(words.split()))}")


def lacks_account(checklist: Checklist, settings: Settings, avatar_check: str) -> bool:
    """Tell in the checklist what the account lacks; return whether it lacks anything.

    A platform on this machine needs no account.

    Args:
        checklist: where to tell it.
        settings: what was given.
        avatar_check: the first check that needs the avatar.
    """
    if settings.url is None:
        return False
    if not settings.api_key:
        checklist.failed("key", "none is given: set AVATARWIRE_API_KEY or --api-key")
        return True
    if not settings.avatar_id:
        checklist.failed(avatar_check, "no avatar: set AVATARWIRE_AVATAR_ID or --avatar-id")
        return True
    return False


def key_accepted(settings: Settings) -> str:
    """Return what it means that the key was accepted."""
    return "accepted" if settings.url is not None else "none is needed here, and none was tried"


class Tone:
    """A tone that a person recognises, as 16-bit mono PCM.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate: int = sample_rate

    def __str__(self) -> str:
        return f"{TONE_HZ} Hz for {TONE_S} s at {self.sample_rate} Hz"

    @cached_property
    def pcm(self) -> bytes:
        """The samples."""
        per_sample = 2 * math.pi * TONE_HZ / self.sample_rate
        count = self.sample_rate * TONE_S
        samples = array.array("h", (round(8000 * math.sin(per_sample * n)) for n in range(count)))
        if sys.byteorder == "big":
            samples.byteswap()
        return samples.tobytes()

    async def play(self, session: Speaker) -> Playout:
        """Play it as one turn, and return what became of it."""
        async with session.audio_stream(sample_rate=self.sample_rate) as stream:
            await stream.write(self.pcm)
        return await stream.wait_playout()
