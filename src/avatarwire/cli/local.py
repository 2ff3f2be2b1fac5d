"""The emulator in a thread of its own."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from avatarwire.emulator import LiveAvatarEmulator, LiveSession

__all__ = ["LocalPlatform"]


class LocalPlatform:
    """A Live Avatar platform in another thread, as a context manager.

    It has an event loop of its own, so that what it costs is not counted as the client's.

    Args:
        greeting: what each new user types first; None: nothing.
        user_audio: what each new user says, 16-bit mono PCM at 16 kHz.

    Raises:
        OSError: on entering, no port could be had.
    """

    def __init__(self, greeting: str | None = None, user_audio: bytes = b"") -> None:
        self._greeting = greeting
        self._user_audio = user_audio
        self.base_url = ""
        self.sessions: list[LiveSession] = []
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="avatarwire-platform", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:
            self._error = exc
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        async with LiveAvatarEmulator(
            greeting=self._greeting, user_audio=self._user_audio
        ) as emulator:
            self.base_url = emulator.base_url
            self.sessions = emulator.sessions
            self._up.set()
            await stop.wait()
