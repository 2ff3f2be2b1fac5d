"""``--fault NAME=VALUE``: what is to go wrong on a platform of this machine."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import click

from avatarwire.emulator import AkoolFaults, DiscoveryFault, Faults, StartFault

__all__ = ["AKOOL_FAULTS", "ASKED_FOR", "LIVE_FAULTS", "faults_help", "faults_option"]

#: Under which the command's ``meta`` holds the faults as they were typed.
ASKED_FOR = "avatarwire.cli.faults"

#: Codes that no endpoint may put into a close frame (RFC 6455, section 7.4.1).
_UNSENDABLE = {1004, 1005, 1006, 1015}


AnyFaults: TypeAlias = Faults | AkoolFaults
Option: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


class _Fault(NamedTuple):
    name: str
    value: str
    meaning: str
    apply: Callable[[Any, str], None]

    @property
    def usage(self) -> str:
        return f"{self.name}={self.value}" if self.value else self.name


def _whole(text: str, low: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < low:
        raise ValueError(f"{what} is a whole number from {low}, not {text!r}")
    return int(text)


def _seconds(text: str, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise ValueError(f"a time in {unit} is a number from 0, not {text!r}")
    return number


def _close_code(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) == 4:
        code = int(text)
        if 1000 <= code <= 4999 and code not in _UNSENDABLE:
            return code
    raise ValueError(f"a close code is 1000 to 4999 and one that can be sent, not {text!r}")


def _close(faults: AnyFaults, value: str) -> None:
    code, at, count = value.partition("@")
    faults.close_code = _close_code(code)
    faults.close_after_messages = _whole(count, 1, "the count of messages") if at else 1


def _cut(faults: Faults, value: str) -> None:
    faults.cut_after_frames = _whole(value, 1, "the count of frames")


def _stop_reading(faults: Faults, value: str) -> None:
    faults.stop_reading_after = _whole(value, 1, "the count of messages")


def _times(value: str) -> tuple[str, int]:
    what, cross, times = value.partition("x")
    return what, _whole(times, 1, "the number of times") if cross else 1


def _refuse_start(faults: Faults, value: str) -> None:
    text, times = _times(value)
    code = _whole(text, 400, "a code of the platform or an HTTP status")
    if 600 <= code < 10_000:
        raise ValueError(f"{code} is neither an HTTP status nor a code of the platform (40001 …)")
    fault = StartFault(status=code) if code < 600 else StartFault(code=code)
    faults.starts.extend([fault] * times)


def _refuse_handshake(faults: AnyFaults, value: str) -> None:
    text, times = _times(value)
    code = _close_code(text) if len(text) == 4 else _whole(text, 400, "an HTTP status")
    if 600 <= code < 1000 or code > 4999:
        raise ValueError(f"{code} is neither an HTTP status (400 to 599) nor a close code")
    faults.handshakes.extend([code] * times)


def _no_answer(faults: Faults, value: str) -> None:
    times = _whole(value, 1, "the number of times")
    faults.starts.extend([StartFault(no_answer=True)] * times)


def _fail_discovery(faults: AkoolFaults, value: str) -> None:
    text, times = _times(value)
    status = _whole(text, 400, "an HTTP status")
    if status > 599:
        raise ValueError(f"{status} is no HTTP status (400 to 599)")
    faults.discoveries.extend([DiscoveryFault(status=status)] * times)


def _leave_discovery(faults: AkoolFaults, value: str) -> None:
    times = _whole(value, 1, "the number of times")
    faults.discoveries.extend([DiscoveryFault(no_answer=True)] * times)


def _delay(faults: Faults, value: str) -> None:
    faults.delay_s = _seconds(value, "milliseconds") / 1000


def _no_init(faults: Faults, value: str) -> None:
    if value:
        raise ValueError("it takes no value")
    faults.withhold_init = True


def _withhold(faults: AnyFaults, value: str) -> None:
    if not value:
        raise ValueError("the name of an event is missing")
    faults.withhold.add(value)


def _garble(faults: Faults, value: str) -> None:
    faults.garble_every = _whole(value, 1, "N")


def _duplicate(faults: Faults, value: str) -> None:
    faults.duplicate_every = _whole(value, 1, "N")


def _reorder(faults: Faults, value: str) -> None:
    faults.reorder_every = _whole(value, 1, "N")


def _expire(faults: Faults, value: str) -> None:
    faults.token_life_s = _seconds(value, "seconds")


def _by_name(*faults: _Fault) -> dict[str, _Fault]:
    return {fault.name: fault for fault in faults}


_CLOSE = _Fault("close", "CODE[@N]", "close each connection after N messages (1)", _close)
_HANDSHAKE = _Fault(
    "refuse-handshake", "CODE[xTIMES]", "by HTTP status or close code (1 time)", _refuse_handshake
)

LIVE_FAULTS = _by_name(
    _Fault("cut-after-frames", "N", "drop each connection after N binary messages", _cut),
    _CLOSE,
    _Fault("stop-reading", "N", "take nothing more in after N messages", _stop_reading),
    _Fault(
        "refuse-start", "CODE[xTIMES]", "by platform code or HTTP status (1 time)", _refuse_start
    ),
    _Fault("no-answer", "TIMES", "leave so many starts without an answer", _no_answer),
    _HANDSHAKE,
    _Fault("expire-tokens", "SECONDS", "one-time URLs live so long", _expire),
    _Fault("no-init", "", "never send session.init", _no_init),
    _Fault("withhold", "EVENT", "never send it, e.g. session.state", _withhold),
    _Fault("delay", "MS", "send everything so much later", _delay),
    _Fault("garble", "N", "send half of every Nth message", _garble),
    _Fault("duplicate", "N", "send every Nth message twice", _duplicate),
    _Fault("reorder", "N", "send every Nth message after the next", _reorder),
)

AKOOL_FAULTS = _by_name(
    _CLOSE,
    _Fault("refuse-discovery", "STATUS[xTIMES]", "by HTTP status (1 time)", _fail_discovery),
    _Fault("no-answer", "TIMES", "leave discovery so often without an answer", _leave_discovery),
    _HANDSHAKE,
    _Fault("withhold", "KIND", "never send it, e.g. ack or pong", _withhold),
)


def faults_help(faults: dict[str, _Fault]) -> str:
    """List the faults, as a command's epilogue."""
    lines = (f"  {fault.usage:<31} {fault.meaning}" for fault in faults.values())
    return "\b\nFaults; --fault may be given several times:\n" + "\n".join(lines)


def faults_option(make: Callable[[], AnyFaults], known: dict[str, _Fault]) -> Option:
    """Give the option ``--fault``, which calls its command with ``faults``.

    Args:
        make: makes the platform's faults.
        known: what can be asked for.
    """

    def parse(
        context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
    ) -> AnyFaults:
        faults = make()
        for text in texts:
            name, _, value = text.partition("=")
            fault = known.get(name)
            if fault is None:
                raise click.BadParameter(f"no fault {name!r}; there are {', '.join(known)}.")
            try:
                fault.apply(faults, value)
            except ValueError as exc:
                raise click.BadParameter(f"{text!r}: {exc}; write {fault.usage}.") from exc
        context.meta[ASKED_FOR] = texts
        return faults

    return click.option(
        "--fault",
        "faults",
        metavar="NAME[=VALUE]",
        multiple=True,
        callback=parse,
        help="Let something go wrong; see below.",
    )
