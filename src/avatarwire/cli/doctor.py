"""``avatarwire doctor``: what works between this machine and a platform, and what to do if not."""

import importlib.metadata
import importlib.util
import platform as machine
import sys
from collections.abc import Callable

import click

import avatarwire
from avatarwire import AudioFrame
from avatarwire.audio import OpusDecoder, Resampler
from avatarwire.cli.check_akool import CHECKS as AKOOL_CHECKS
from avatarwire.cli.check_akool import check_akool
from avatarwire.cli.check_liveavatar import CHECKS as LIVE_AVATAR_CHECKS
from avatarwire.cli.check_liveavatar import check_liveavatar
from avatarwire.cli.checks import Report
from avatarwire.cli.options import platform_options
from avatarwire.cli.speech import Settings
from avatarwire.errors import MissingExtraError

__all__ = ["doctor"]

#: The frame header that the protocol gives as its check value (section 5).
CHECK_HEADER = bytes.fromhex("7000fffff000100a50")
PLATFORMS: dict[str, tuple[tuple[str, ...], Callable[[Report, Settings, int], None]]] = {
    "liveavatar": (LIVE_AVATAR_CHECKS, check_liveavatar),
    "akool": (AKOOL_CHECKS, check_akool),
}


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
    report = Report()
    _check_version(report)
    _check_extras(report)
    checks, check = PLATFORMS[platform]
    try:
        check(report, settings, int(sample_rate))
    except KeyboardInterrupt:
        raise click.Abort from None
    report.skip_rest(checks)
    return 1 if report.failures else 0


def _check_version(report: Report) -> None:
    installed = importlib.metadata.version("avatarwire")
    if installed != avatarwire.__version__:
        report.failed(
            "version",
            f"avatarwire {avatarwire.__version__} is loaded, but {installed} is installed; "
            "pip install --force-reinstall avatarwire",
        )
        return
    frame = AudioFrame(channel=1, key=True, timestamp=1048575, codec=1, payload=bytes(2640))
    if not frame.pack().startswith(CHECK_HEADER):
        report.failed(
            "version",
            "the native codec makes wrong frames; pip install --force-reinstall avatarwire",
        )
        return
    python = f"{machine.python_implementation()} {machine.python_version()}"
    report.ok("version", f"avatarwire {installed}, {python} on {sys.platform}")


def _check_extras(report: Report) -> None:
    try:
        Resampler(rate_in=24000, rate_out=16000)
        OpusDecoder(24000)
    except MissingExtraError as exc:
        report.failed("extras", str(exc))
        return
    fast = '; for a faster event loop: pip install "avatarwire[fast]"'
    if importlib.util.find_spec("uvloop") is not None:
        fast = ", fast"
    elif sys.platform == "win32":  # where uvloop does not run
        fast = ""
    report.ok("extras", f"audio, emulator, cli{fast}")
