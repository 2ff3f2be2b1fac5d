"""Records sessions into folders, in a thread of its own."""

import contextlib
import logging
import math
import threading
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from avatarwire.recording.files import Folder, Room, create, safe_name
from avatarwire.recording.ring import Ring
from avatarwire.recording.source import Sessions, Source
from avatarwire.recording.timeline import Timeline

__all__ = ["Recorder"]

logger: logging.Logger = logging.getLogger("avatarwire.recording")

#: How often the thread writes: what a process that is killed may lose.
INTERVAL_S = 0.2
STATS_INTERVAL_S = 1.0
MAX_BYTES = 2_000_000_000
RING_BYTES = 64_000_000


class Recorder:
    """Records what a session, or each of an emulator, sends, receives and plays in its block.

    Example::

        with avatarwire.Recorder("recordings/monday", session=agent):
            await agent.start()

    It begins before the session or in the midst of it, and goes on across reconnections and
    sessions. The folder gets ``timeline.jsonl`` (one record a line), ``sent.wav``, ``user.wav``,
    and ``heard.wav``: what was played, the user left and the avatar right. They can be read at any
    time, also when the process was killed. No key or token is in them; what people say is.

    With an emulator all its sessions are recorded, those so far and those to come, each in a
    folder within ``path`` that is called after its id: ``id.2`` and so on where that is taken.

    Args:
        path: the folder; it is made. With one session, it must not hold a recording.
        session: an agent, a client, an emulator, or one session of an emulator.
        content: False: no sound, no words and no pictures, but their lengths and levels.
        max_bytes: how much is written at the most, of all sessions together; then the recording
            ends, and the log says so.
        keep_s: keep the last so many seconds of each session in memory, 64 MB at the most, and
            write nothing of it until something goes wrong: a turn fails or is lost, the session
            ends with another code than 1000, the block is left by an exception, or ``dump()`` is
            called. What follows is written too. None: write all.

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
        session: Source | Sessions,
        content: bool = True,
        max_bytes: int = MAX_BYTES,
        keep_s: float | None = None,
    ) -> None:
        self._is_of_many = callable(getattr(session, "observe_sessions", None))
        if not self._is_of_many and not callable(getattr(session, "observe", None)):
            raise TypeError(
                f"a {type(session).__name__} cannot be recorded: give an agent, a client, an"
                " emulator, or a session of an emulator"
            )
        if not max_bytes > 0 or (keep_s is not None and not keep_s > 0):
            raise ValueError(
                f"max_bytes and keep_s must be positive, not {max_bytes!r} and {keep_s!r}"
            )
        self._path = Path(path)
        self._session = session
        self._content = content
        self._room = Room(max_bytes)
        self._keep_s = keep_s
        self._recordings: list[_Recording] = []
        self._stop: Callable[[], None] | None = None
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
        return self._thread is not None and not self._has_failed and not self._room.is_full

    def dump(self) -> None:
        """Write what ``keep_s`` has kept, soon, and all that follows."""
        self._is_dumping.set()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a recorder records once: make another one")
        if self._keep_s is None:
            self.dump()
        if self._is_of_many:
            self._path.mkdir(parents=True, exist_ok=True)
            sessions = cast("Sessions", self._session)
            self._stop = sessions.observe_sessions(self._begin_another)
        else:
            only = self._new(cast("Source", self._session), self._path, is_numbered=False)
            if self._keep_s is None:
                only.dump()  # what is wrong with the folder is told at once
            self._begin(only)
        self._thread = threading.Thread(target=self._run, name="avatarwire recorder", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        if self._stop is not None:
            self._stop()
        for recording in tuple(self._recordings):
            recording.end()
        if exc is not None:
            self.dump()
        self._is_over.set()
        self._thread.join()

    def _begin_another(self, session: Source) -> Callable[[], None]:
        path = self._path / safe_name(session.session_id or "session")
        recording = self._new(session, path, is_numbered=True)
        self._begin(recording)
        return recording.end

    def _begin(self, recording: "_Recording") -> None:
        recording.begin()
        self._recordings.append(recording)

    def _new(self, session: Source, path: Path, *, is_numbered: bool) -> "_Recording":
        return _Recording(
            session,
            path,
            self._room,
            math.inf if self._keep_s is None else self._keep_s,
            content=self._content,
            is_numbered=is_numbered,
        )

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(INTERVAL_S)
            self._work()

    def _work(self) -> None:
        for recording in tuple(self._recordings):
            recording.work(is_dumping=self._is_dumping.is_set())
            self._has_failed = self._has_failed or recording.has_failed
            if recording.is_closed:
                self._recordings.remove(recording)


class _Recording:
    """The recording of one session: what is told on the event loop is written in a thread.

    Args:
        session: it.
        path: the folder.
        room: how much is written at the most.
        keep_s: how many seconds are kept until ``dump``, or until something goes wrong.
        content: False: lengths and levels alone.
        is_numbered: where the path is taken, the folder gets a number.

    Attributes:
        has_failed: it could not be written.
        is_closed: nothing more is done.
    """

    def __init__(
        self,
        session: Source,
        path: Path,
        room: Room,
        keep_s: float,
        *,
        content: bool,
        is_numbered: bool,
    ) -> None:
        self.has_failed: bool = False
        self.is_closed: bool = False
        self._path = path
        self._room = room
        self._is_numbered = is_numbered
        self._folder: Folder | None = None
        self._ring = Ring(keep_s, RING_BYTES, self._open)
        self._timeline = Timeline(session, self._ring, content=content)
        self._stats: Callable[[], object] | None = getattr(session, "stats", None)
        self._told_s = 0.0
        self._is_over = False

    def begin(self) -> None:
        """Look at the session from now on."""
        self._timeline.begin()

    def end(self) -> None:
        """Look no longer; ``work`` then writes what is left."""
        self._timeline.end()
        self._is_over = True

    def dump(self) -> None:
        """Make the folder, and write what was kept.

        Raises:
            OSError: it cannot be made.
        """
        self._ring.dump()

    def work(self, *, is_dumping: bool) -> None:
        """Write what has happened; it raises nothing.

        Args:
            is_dumping: also what is kept.
        """
        is_over = self._is_over
        try:
            self._write(is_over=is_over, is_dumping=is_dumping)
        except Exception as exc:
            self.has_failed = is_over = True
            self._timeline.end()
            is_told = isinstance(exc, OSError)
            logger.warning(
                "recording in %s has failed, the session goes on: %s",
                self._path,
                exc,
                exc_info=None if is_told else exc,
            )
        if is_over:
            self.is_closed = True
            if self._folder is not None:
                with contextlib.suppress(OSError):  # told above, if it is the disk
                    self._folder.close(self._timeline.now_s)

    def _write(self, *, is_over: bool, is_dumping: bool) -> None:
        timeline = self._timeline
        is_due = is_over or timeline.now_s - self._told_s >= STATS_INTERVAL_S
        if self._stats is not None and is_due:
            self._told_s = timeline.now_s
            timeline.stats(self._stats())
        timeline.work(is_over=is_over)
        if is_dumping:
            self._ring.dump()
        if self._folder is not None:
            self._folder.flush()

    def _open(self) -> Folder:
        if self._room.is_full:
            raise OSError(f"its recorder has written its {self._room.max_bytes} bytes")
        if self._is_numbered:
            self._path = create(self._path.parent, self._path.name, Path.mkdir)
        self._folder = Folder(self._path, self._room)
        return self._folder
