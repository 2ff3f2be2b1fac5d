"""``avatarwire doctor``: what works between this machine and a platform, and what to do if not."""

import importlib.metadata
import importlib.util
import platform as machine
import sys

import click

import avatarwire
from avatarwire import AudioFrame
from avatarwire.audio import OpusDecoder, Resampler
from avatarwire.cli.checks import Checklist
from avatarwire.cli.job import Settings
from avatarwire.cli.options import platform_options
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.errors import MissingExtraError

__all__ = ["doctor"]

#: The frame header that the protocol gives as its check value (section 5).
CHECK_HEADER = bytes.fromhex("7000fffff000100a50")


@click.command()
@platform_options
@click.option(
    "--sample-rate",
    type=click.Choice(["16000", "24000", "48000"]),
    default="24000",
    show_default=True,
    help="Of the test tone, in Hz: what your synthesiser gives.",
)
def doctor(platform: str, settings: Settings, sample_rate: str) -> int:
    """Check the installation and a platform, with one short session."""
    checklist, chosen = Checklist(), PLATFORMS[platform]
    _check_version(checklist)
    _check_extras(checklist)
    chosen.check(checklist, settings, int(sample_rate))
    checklist.skip_rest(chosen.checks)
    return 1 if checklist.failures else 0


def _check_version(checklist: Checklist) -> None:
    installed = importlib.metadata.version("avatarwire")
    if installed != avatarwire.__version__:
        checklist.failed(
            "version",
            f"avatarwire {avatarwire.__version__} is loaded, but {installed} is installed; "
            "pip install --force-reinstall avatarwire",
        )
        return
    frame = AudioFrame(channel=1, key=True, timestamp=1048575, codec=1, payload=bytes(2640))
    if not frame.pack().startswith(CHECK_HEADER):
        checklist.failed(
            "version",
            "the native codec makes wrong frames; pip install --force-reinstall avatarwire",
        )
        return
    python = f"{machine.python_implementation()} {machine.python_version()}"
    checklist.ok("version", f"avatarwire {installed}, {python} on {sys.platform}")


def _check_extras(checklist: Checklist) -> None:
    try:
        Resampler(rate_in=24000, rate_out=16000)
        OpusDecoder(24000)
    except MissingExtraError as exc:
        checklist.failed("extras", str(exc))
        return
    fast = '; for a faster event loop: pip install "avatarwire[fast]"'
    if importlib.util.find_spec("uvloop") is not None:
        fast = ", fast"
    elif sys.platform == "win32":  # where uvloop does not run
        fast = ""
    checklist.ok("extras", f"audio, emulator, cli{fast}")
