"""The emulator in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["LocalPlatform", "local_unless"]


E = TypeVar("E", bound=AbstractAsyncContextManager[object])


class LocalPlatform(Generic[E]):
    """A platform in another thread, as a context manager.

    It has an event loop of its own, so that what it costs is not counted as the client's.

    Args:
        emulator: the platform, not entered yet; also the ``emulator`` attribute.

    Raises:
        OSError: on entering, no port could be had.
    """

    def __init__(self, emulator: E) -> None:
        self.emulator: E = emulator
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
        async with self.emulator:
            self._up.set()
            await stop.wait()


@contextmanager
def local_unless(url: str | None, new_emulator: Callable[[], E]) -> Iterator[E | None]:
    """Run a platform on this machine and yield it; yield None when ``url`` names another.

    Raises:
        OSError: no port could be had.
    """
    if url is not None:
        yield None
        return
    with LocalPlatform(new_emulator()) as local:
        yield local.emulator
