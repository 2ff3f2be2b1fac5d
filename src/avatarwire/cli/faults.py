"""``--fault NAME=VALUE``: what is to go wrong on a platform of this machine."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import click

from avatarwire.emulator.slow_link import LinkFaults, Stall

__all__ = [
    "ASKED_FOR",
    "CLOSE",
    "LINK_FAULTS",
    "REFUSE_HANDSHAKE",
    "Fault",
    "by_name",
    "faults_help",
    "faults_option",
    "seconds",
    "times",
    "whole_number",
    "withhold",
]

#: Under which the command's ``meta`` holds the faults as they were typed.
ASKED_FOR = "avatarwire.cli.faults"

#: Codes that no endpoint may put into a close frame (RFC 6455, section 7.4.1).
_UNSENDABLE = {1004, 1005, 1006, 1015}

Option: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


class ConnectionFaults(Protocol):
    """The faults that every platform's connections have."""

    close_code: int
    close_after_messages: int | None
    handshakes: deque[int]
    withhold: set[str]


class Fault(NamedTuple):
    """Something that can be asked for.

    Attributes:
        name: what is typed before ``=``.
        value: what stands behind it, for the help; empty: nothing.
        meaning: what goes wrong.
        apply: sets it, from what was typed; a ValueError says what is wrong with that.
    """

    name: str
    value: str
    meaning: str
    apply: Callable[[Any, str], None]

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"{self.name}={self.value}" if self.value else self.name


def by_name(*faults: Fault) -> dict[str, Fault]:
    """Return faults by their names."""
    return {fault.name: fault for fault in faults}


def whole_number(text: str, low: int, what: str) -> int:
    """Return a whole number from ``low``; ``what`` says in the error what it counts.

    Raises:
        ValueError: it is none.
    """
    if not (text.isascii() and text.isdecimal()) or int(text) < low:
        raise ValueError(f"{what} is a whole number from {low}, not {text!r}")
    return int(text)


def seconds(text: str, unit: str) -> float:
    """Return a time, in the unit in which it was typed.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise ValueError(f"a time in {unit} is a number from 0, not {text!r}")
    return number


def times(value: str) -> tuple[str, int]:
    """Return what stands before ``xTIMES``, and how often; once without it.

    Raises:
        ValueError: that is no number.
    """
    what, cross, count = value.partition("x")
    return what, whole_number(count, 1, "the number of times") if cross else 1


def _close_code(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) == 4:
        code = int(text)
        if 1000 <= code <= 4999 and code not in _UNSENDABLE:
            return code
    raise ValueError(f"a close code is 1000 to 4999 and one that can be sent, not {text!r}")


def _close(faults: ConnectionFaults, value: str) -> None:
    code, at, count = value.partition("@")
    faults.close_code = _close_code(code)
    faults.close_after_messages = whole_number(count, 1, "the count of messages") if at else 1


def _refuse_handshake(faults: ConnectionFaults, value: str) -> None:
    text, count = times(value)
    code = _close_code(text) if len(text) == 4 else whole_number(text, 400, "an HTTP status")
    if 600 <= code < 1000 or code > 4999:
        raise ValueError(f"{code} is neither an HTTP status (400 to 599) nor a close code")
    faults.handshakes.extend([code] * count)


def withhold(faults: ConnectionFaults, value: str) -> None:
    """Never send what ``value`` names.

    Raises:
        ValueError: it names nothing.
    """
    if not value:
        raise ValueError("the name of an event is missing")
    faults.withhold.add(value)


def _bandwidth(faults: LinkFaults, value: str) -> None:
    number = value.removesuffix("bit")
    factor = {"k": 1e3, "M": 1e6}.get(number[-1:], 0.0)
    try:
        bandwidth_bit_s = float(number[:-1]) * factor
    except ValueError:
        bandwidth_bit_s = 0.0
    if not 1e3 <= bandwidth_bit_s <= 1e10:
        raise ValueError(f"a bandwidth is 1kbit to 10000Mbit a second, not {value!r}")
    faults.bandwidth_bit_s = bandwidth_bit_s


def _latency(faults: LinkFaults, value: str) -> None:
    faults.latency_s = seconds(value, "milliseconds") / 1000


def _jitter(faults: LinkFaults, value: str) -> None:
    faults.jitter_s = seconds(value, "milliseconds") / 1000


def _stall(faults: LinkFaults, value: str) -> None:
    duration, at, after = value.partition("@")
    faults.stalls.append(
        Stall(
            seconds(duration.removesuffix("s"), "seconds"),
            seconds(after.removesuffix("s"), "seconds") if at else 0.0,
        )
    )


#: What makes the link slow, on every platform.
LINK_FAULTS = (
    Fault("bandwidth", "350kbit", "carry so much a second, each way", _bandwidth),
    Fault("latency", "MS", "carry everything so much later, each way", _latency),
    Fault("jitter", "MS", "by so much more or less, at random", _jitter),
    Fault("stall", "3s[@5s]", "pass nothing for 3 s, 5 s after each opening", _stall),
)
CLOSE = Fault("close", "CODE[@N]", "close each connection after N messages (1)", _close)
REFUSE_HANDSHAKE = Fault(
    "refuse-handshake", "CODE[xTIMES]", "by HTTP status or close code (1 time)", _refuse_handshake
)


def faults_help(faults: Mapping[str, Fault]) -> str:
    """Return the list of the faults, as a command's epilogue."""
    lines = (f"  {fault.usage:<31} {fault.meaning}" for fault in faults.values())
    return "\b\nFaults; --fault may be given several times:\n" + "\n".join(lines)


def faults_option(make: Callable[[], object], known: Mapping[str, Fault]) -> Option:
    """Return the option ``--fault``, which calls its command with ``faults``.

    Args:
        make: makes the platform's faults.
        known: what can be asked for.
    """

    def parse(context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> object:
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
