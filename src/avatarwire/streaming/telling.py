"""What a turn tells a program while it lasts: plain functions, called on the event loop."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

from avatarwire.streaming.progress import Progress

__all__ = ["NO_CALLBACKS", "Callbacks", "tell"]

logger: logging.Logger = logging.getLogger("avatarwire.streaming")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a program wants to be told of one turn; none may block, and what they raise is logged.

    Raises:
        TypeError: one is no plain function.

    Attributes:
        on_started: the turn has begun to be heard.
        on_mark: a mark has been passed; its name.
        on_progress: a run of sound that has been heard.
        on_underrun: the sound has run out at the listener, by now for so many milliseconds in all;
            while it lasts, told five times a second at the most.
    """

    on_started: Callable[[], object] | None = None
    on_mark: Callable[[str], object] | None = None
    on_progress: Callable[[Progress], object] | None = None
    on_underrun: Callable[[float], object] | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            callback = getattr(self, each.name)
            if callback is None:
                continue
            if not callable(callback) or inspect.iscoroutinefunction(callback):
                raise TypeError(
                    f"{each.name} must be a plain function, not"
                    f" {'a coroutine function' if callable(callback) else type(callback).__name__}:"
                    " nothing waits for it"
                )


#: Of a turn that tells nothing: every one has the same.
NO_CALLBACKS = Callbacks()


def tell(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object] | None, *args: object
) -> None:
    """Call back soon, unless there is nobody: what is told may end or pause the turn it is from."""
    if callback is not None:
        loop.call_soon(_call, callback, args)


def _call(callback: Callable[..., object], args: tuple[object, ...]) -> None:
    try:
        callback(*args)
    except Exception:
        logger.exception("a callback of an audio stream raised; the turn goes on")
