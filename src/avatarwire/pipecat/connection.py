"""The avatar's session, as the two halves of a transport share it."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from avatarwire._tasks import begin_later
from avatarwire.errors import AvatarwireError
from avatarwire.session import Conversation, SceneGate, Session
from avatarwire.session.tasks import keep, send_soon

__all__ = ["Connection"]

logger: logging.Logger = logging.getLogger("avatarwire.pipecat")

#: How a session ends that nobody lost.
NORMAL = 1000


class Connection:
    """Starts the session for the first of its users, unless it runs, and stops what it started.

    Args:
        session: the avatar's.
        listeners: returns who hears what the platform tells, from before the session is started.
        on_connected: awaited when it runs.
        on_disconnected: awaited when it has ended; with words when it was lost.

    Attributes:
        session: the same.
        scene: holds speech back until the avatar is shown.
        request_id: what is said next answers; None: nothing in particular.
    """

    def __init__(
        self,
        session: Session,
        listeners: Callable[[], list[object]],
        on_connected: Callable[[], Awaitable[None]],
        on_disconnected: Callable[[str | None], Awaitable[None]],
    ) -> None:
        self.session = session
        self.scene = SceneGate(session)
        self.request_id: str | None = None
        self._listeners = listeners
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._users: set[object] = set()
        self._lock = asyncio.Lock()
        self._is_ours = False
        self._stop_hearing: list[Callable[[], None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_over = False
        self._failure: AvatarwireError | None = None
        self._utterance: str | None = None  # of the user, while it lasts
        self._is_platform_listening = False

    async def start(self, user: object) -> None:
        """Have the session run for a user.

        Raises:
            AvatarwireError: it could not be started.
        """
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._users:
                await self._begin()
            self._users.add(user)

    async def _begin(self) -> None:
        if isinstance(self.session, Conversation):
            self._stop_hearing = [self.session.add_listener(each) for each in self._listeners()]
        if not self.session.is_running:
            try:
                await self.session.start()
            except BaseException as exc:
                self._failure = exc if isinstance(exc, AvatarwireError) else None
                self._hear_no_more()
                raise
            self._is_ours = True
        self._is_over = False
        self._ending = None
        self._watching = begin_later(self._watch(), name="avatarwire pipecat watch")
        await self._on_connected()

    async def release(self, user: object) -> None:
        """Have a user go; the last one takes along the session that was started for it."""
        self._users.discard(user)
        if self._watching is not None and not self._users:
            # The framework may cancel whoever waits for it, and then clean up.
            ending = self._end(self._watching)
            self._watching = None
            self._ending = keep(begin_later(ending, name="avatarwire pipecat end"))
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _end(self, watching: "asyncio.Task[None]") -> None:
        self._hear_no_more()
        if self._is_over:
            await watching
        else:
            watching.cancel()
        if self._is_ours:
            self._is_ours = False
            await self.session.stop()
        if not self._is_over:
            await self._on_disconnected(None)

    async def _watch(self) -> None:
        await self.session.wait_closed()
        self._is_over = True
        ending = self.session.ending
        is_lost = ending is not None and ending.code != NORMAL
        await self._on_disconnected(str(ending.error) if ending is not None and is_lost else None)

    def _hear_no_more(self) -> None:
        for stop in self._stop_hearing:
            stop()
        self._stop_hearing.clear()

    def user_speaks(self, request_id: str) -> None:
        """Take note that the platform hears the user by itself, and is to be told nothing."""
        self._is_platform_listening = True
        self.request_id = request_id

    def tell_voice(self, is_speaking: bool) -> None:
        """Tell a platform that leaves recognition to us that the user speaks, or has stopped."""
        if not isinstance(self.session, Conversation) or self._is_platform_listening:
            return
        if is_speaking and self._utterance is None:
            self._utterance = self.request_id = str(uuid.uuid4())
            self._send(self.session.send_voice_start(self._utterance))
        elif not is_speaking and self._utterance is not None:
            self._send(self.session.send_voice_finish(self._utterance))
            self._utterance = None

    def _send(self, call: Coroutine[Any, Any, None]) -> None:
        send_soon(call, name="avatarwire pipecat voice", logger=logger)
