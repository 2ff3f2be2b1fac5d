"""How a command ends before its time: by Ctrl-C, by SIGTERM, or as its terminal goes."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import click

__all__ = ["Ending", "run_in_order"]

T = TypeVar("T")

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
SAME_END_S = 0.1
"""Signals so soon after the first are the same end: a closing terminal sends SIGHUP by two ways,
and systemd may send it beside SIGTERM."""
SHOW_CURSOR = b"\x1b[?25h"


class Ending:
    """What signals do to a command, as a context manager around it.

    The first SIGINT, SIGTERM or SIGHUP ends in order what runs: the session is stopped at the
    platform, recordings are closed. A second one ends the process at once. A SIGHUP that was
    ignored from the start, as by ``nohup``, stays ignored.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._first_s = 0.0
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python hands signals to the main thread alone.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """What a shell gives for the signal that ended the command."""
        return 128 + (self.number or signal.SIGINT)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` in an event loop of its own.

        Raises:
            click.Abort: a signal ended it.
        """
        try:
            result = asyncio.run(self._watched(work))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise click.Abort from None
        finally:
            self._cancel = None
        if self.number is not None:
            raise click.Abort
        return result

    async def _watched(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is not None:
            cancel = task.cancel
            self._cancel = lambda: loop.call_soon_threadsafe(cancel)
        return await work()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self._first_s = number, time.monotonic()
            if self._cancel is None:
                raise KeyboardInterrupt
            self._cancel()
        elif time.monotonic() - self._first_s > SAME_END_S:
            if sys.stdout is not None and sys.stdout.isatty():
                with contextlib.suppress(OSError):
                    os.write(sys.stdout.fileno(), SHOW_CURSOR)  # a progress bar may have hidden it
            os._exit(128 + number)


def run_in_order(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``work`` so that the running command ends in order; see ``Ending``.

    Raises:
        click.Abort: a signal ended it.
    """
    return click.get_current_context().ensure_object(Ending).run(work)
