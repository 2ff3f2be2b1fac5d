"""Records a session into a folder, in a thread of its own."""

import contextlib
import logging
import threading
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from avatarwire.recording.files import Folder
from avatarwire.recording.ring import Ring
from avatarwire.recording.source import Source
from avatarwire.recording.timeline import Sink, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Recorder"]

logger: logging.Logger = logging.getLogger("avatarwire.recording")

#: How often the thread writes: what a process that is killed may lose.
INTERVAL_S = 0.2
STATS_INTERVAL_S = 1.0
MAX_BYTES = 2_000_000_000
RING_BYTES = 64_000_000


class Recorder:
    """Records what a session sends, receives and plays, while its block lasts.

    Example::

        with avatarwire.Recorder("recordings/monday", session=agent):
            await agent.start()

    It begins before the session or in the midst of it, and goes on across reconnections and
    sessions. The folder gets ``timeline.jsonl`` (one record a line), ``sent.wav``, ``user.wav``,
    and ``heard.wav``: what was played, the user left and the avatar right. They can be read at any
    time, also when the process was killed. No key or token is in them; what people say is.

    Args:
        path: the folder; it is made. It must not hold a recording.
        session: an agent, a client, or a session of an emulator.
        content: False: no sound, no words and no pictures, but their lengths and levels.
        max_bytes: how much is written at the most; then the recording ends, and the log says so.
        keep_s: keep the last so many seconds in memory, 64 MB at the most, and write nothing until
            something goes wrong: a turn fails or is lost, the session ends with another code than
            1000, the block is left by an exception, or ``dump()`` is called. What follows is
            written too. None: write all.

    Raises:
        TypeError: ``session`` cannot be recorded.
        ValueError: ``max_bytes`` or ``keep_s`` is not positive.
        FileExistsError: on entering, ``path`` holds a recording.
        OSError: on entering, the folder cannot be made.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        session: Source,
        content: bool = True,
        max_bytes: int = MAX_BYTES,
        keep_s: float | None = None,
    ) -> None:
        if not callable(getattr(session, "observe", None)):
            raise TypeError(
                f"a {type(session).__name__} cannot be recorded: give an agent, a client, or a"
                " session of an emulator"
            )
        if not max_bytes > 0 or (keep_s is not None and not keep_s > 0):
            raise ValueError(
                f"max_bytes and keep_s must be positive, not {max_bytes!r} and {keep_s!r}"
            )
        self._path = Path(path)
        self._session = session
        self._content = content
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._folder: Folder | None = None
        self._ring: Ring | None = None
        self._timeline: Timeline | None = None
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()
        self._is_dumping = threading.Event()
        self._has_failed = False

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    @property
    def is_recording(self) -> bool:
        """Whether it writes, or keeps, what happens: nothing failed, and there is room."""
        is_full = self._folder is not None and self._folder.is_full
        return self._thread is not None and not self._has_failed and not is_full

    def dump(self) -> None:
        """Write what ``keep_s`` has kept, soon, and all that follows."""
        self._is_dumping.set()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a recorder records once: make another one")
        sink: Sink
        if self._keep_s is None:
            sink = self._open()
        else:
            sink = self._ring = Ring(self._keep_s, RING_BYTES, self._open)
        self._timeline = Timeline(self._session, sink, content=self._content)
        self._timeline.begin()
        self._thread = threading.Thread(target=self._run, name="avatarwire recorder", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timeline is None or self._thread is None:
            return
        self._timeline.end()
        if exc is not None:
            self.dump()
        self._is_over.set()
        self._thread.join()

    def _open(self) -> Folder:
        self._folder = Folder(self._path, self._max_bytes)
        return self._folder

    def _run(self) -> None:
        timeline = self._timeline
        if timeline is None:
            return
        stats: Callable[[], object] | None = getattr(self._session, "stats", None)
        told_s = 0.0
        try:
            while not self._is_over.wait(INTERVAL_S):
                if stats is not None and timeline.now_s - told_s >= STATS_INTERVAL_S:
                    told_s = timeline.now_s
                    timeline.stats(stats())
                self._work(timeline, is_over=False)
            if stats is not None:
                timeline.stats(stats())
            self._work(timeline, is_over=True)
        except Exception as exc:
            self._has_failed = True
            timeline.end()
            is_told = isinstance(exc, OSError)
            logger.warning(
                "recording in %s has failed, the session goes on: %s",
                self._path,
                exc,
                exc_info=None if is_told else exc,
            )
        finally:
            if self._folder is not None:
                with contextlib.suppress(OSError):  # told above, if it is the disk
                    self._folder.close(timeline.now_s)

    def _work(self, timeline: Timeline, *, is_over: bool) -> None:
        timeline.work(is_over=is_over)
        if self._ring is not None and self._is_dumping.is_set():
            self._ring.dump()
        if self._folder is not None:
            self._folder.flush()
