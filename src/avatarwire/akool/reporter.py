"""What a session tells its program, by the client's handlers."""

import asyncio
import logging
from collections.abc import Callable

from avatarwire.akool.acks import server_error
from avatarwire.akool.config import ClientConfig
from avatarwire.akool.dialect import AkoolDialect
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    AuthenticationError,
    RetryError,
)
from avatarwire.akool.messages import AgoraConnected, ServerError
from avatarwire.akool.protocol import Received
from avatarwire.errors import SessionLostError
from avatarwire.session.callbacks import CallbackTasks, RunningCallback
from avatarwire.session.dialect import Reporter
from avatarwire.session.lifecycle import End

__all__ = ["Handler", "HandlerReporter", "retry_error"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

#: What a program may put in place of a handler: a function, sync or async, or nothing.
Handler = Callable[..., object] | None

NORMAL_CLOSURE = 1000
#: How long disconnect() waits for on_disconnected.
HANDLER_LIMIT_S = 5.0


class HandlerReporter(Reporter[Received]):
    """Calls the handlers of a client.

    Args:
        owner: has the handlers as attributes, and may change them.
        config: whose key and token are kept out of errors.
        dialect: what names errors.
    """

    def __init__(self, owner: object, config: ClientConfig, dialect: AkoolDialect) -> None:
        self._owner = owner
        self._config = config
        self._dialect = dialect
        self._callbacks = CallbackTasks(logger)
        self._is_connected = False
        self._is_restoring = False
        self._on_disconnected: RunningCallback | None = None

    @property
    def farewell(self) -> RunningCallback | None:
        """The last ``on_disconnected``."""
        return self._on_disconnected

    @property
    def dropped_calls(self) -> int:
        """How many calls were not made in this session because a handler was too slow."""
        return self._callbacks.dropped_calls

    def begin(self) -> None:
        """Count from zero: another session begins."""
        self._callbacks.dropped_calls = 0

    def tell(self, name: str, *args: object) -> RunningCallback | None:
        """Start a handler in the event loop's next turn; None where there is no handler."""
        handler = self._callbacks.look_up(self._owner, name)
        return None if handler is None else self._callbacks.run(name, handler, *args)

    def notice(self, received: Received) -> None:
        """Pass what has been received to the program's callbacks."""
        match received.inbound:
            case AgoraConnected(channel_id):
                self._queue("on_agora_connected", channel_id)
            case ServerError() as error:
                self._queue("on_error", server_error(error, self._config))
        self._queue("on_message", received.message)

    def start_callbacks(self) -> None:
        """Start what ``notice`` has queued."""
        self._callbacks.start()

    def _queue(self, name: str, *args: object) -> None:
        handler = self._callbacks.look_up(self._owner, name)
        if handler is not None:
            self._callbacks.queue(name, handler, (args,))

    def connected(self) -> None:
        """Tell of the connection."""
        self._is_connected, self._is_restoring = True, False
        self.tell("on_connected")

    def gap(self, lost: SessionLostError) -> None:
        """Tell that the connection is lost."""
        self._is_connected, self._is_restoring = False, True
        self.tell("on_error", self._dialect.named(lost))
        self._on_disconnected = self.tell("on_disconnected")

    def closed(self, end: End) -> None:
        """Tell that the connection has ended, or could not be replaced."""
        if self._is_connected:
            if end.code != NORMAL_CLOSURE:
                self.tell("on_error", self._dialect.named(end.error))
            self._on_disconnected = self.tell("on_disconnected")
        elif self._is_restoring and end.cause is not None:
            error = retry_error(self._config.reconnect_max_attempts, end.cause, self._dialect)
            logger.warning("session %s: not restored: %s", self._config.session_id, error)
            self.tell("on_error", error)
        self._is_connected = self._is_restoring = False

    async def finish(self, callers: set[RunningCallback]) -> None:
        """Wait for ``on_disconnected``, but not for long."""
        told = self._on_disconnected
        if told is not None and told not in callers:
            await asyncio.wait([told.ended()], timeout=HANDLER_LIMIT_S)
        self._callbacks.stand_down()


def retry_error(
    attempts: int, cause: Exception, dialect: AkoolDialect, *, is_first: bool = False
) -> AkoolStreamingAvatarError:
    """Return the error of a client whose last attempt has failed by ``cause``.

    Args:
        attempts: how many there might have been.
        cause: why the last one failed.
        dialect: what names it.
        is_first: nothing was connected before.
    """
    last = dialect.named_for_opening(cause)
    if isinstance(last, AuthenticationError) or (is_first and dialect.is_told_at_once(cause)):
        return last
    error = RetryError(
        f"Failed to connect after {attempts} attempts: {last}",
        code=last.code,
        setting=last.setting,
    )
    error.__cause__ = last
    return error
