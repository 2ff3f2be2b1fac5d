"""Connecting, connecting again, and disconnecting: which instance, how often, and who is told."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from avatarwire import transport
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.connection import NORMAL_CLOSURE, AkoolConnection
from avatarwire.akool.discovery import discover, ordered
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    ConnectionError,  # noqa: A004 - the published name
    RetryError,
    ServiceDiscoveryError,
)
from avatarwire.akool.messages import Wire
from avatarwire.akool.protocol import Received
from avatarwire.errors import RestError
from avatarwire.session.callbacks import CallbackTasks, running_callback
from avatarwire.transport import ExponentialBackoffStrategy

__all__ = ["Supervisor"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

#: Between rounds of dials when a lost connection is replaced.
RECONNECT_BASE_DELAY_S = 0.25
RECONNECT_MAX_DELAY_S = 8.0
#: How long disconnect() waits for on_disconnected.
HANDLER_LIMIT_S = 5.0


class Supervisor:
    """Keeps a client connected to one instance at a time.

    Args:
        config: whose session.
        wire: how messages are built.
        tell: starts one of the client's handlers, by name.
        on_received: called with every message of the platform.
        on_ended: called when a connection has ended, before the client's handlers.
        restore: brings a new connection to where the lost one was.

    Attributes:
        connection: the current or last connection; None before the first.
        available_count: how many instances were there to choose from.
        callbacks: the tasks that the client's handlers run in.
    """

    def __init__(
        self,
        config: ClientConfig,
        wire: Wire,
        tell: Callable[..., asyncio.Task[None] | None],
        on_received: Callable[[Received], None],
        on_ended: Callable[[], None],
        restore: Callable[[], Awaitable[None]],
    ) -> None:
        self.connection: AkoolConnection | None = None
        self.available_count: int = 0
        self.callbacks: CallbackTasks = CallbackTasks(logger)
        self._config = config
        self._wire = wire
        self._tell = tell
        self._on_received = on_received
        self._on_ended = on_ended
        self._restore = restore
        self._connecting: asyncio.Task[object] | None = None
        self._disconnecting: asyncio.Task[None] | None = None
        self._backoff = ExponentialBackoffStrategy(
            RECONNECT_BASE_DELAY_S, RECONNECT_MAX_DELAY_S, jitter=True
        )
        self._restored_s = float("-inf")
        self._disconnect_callers: set[asyncio.Task[None]] = set()
        self._on_disconnected: asyncio.Task[None] | None = None

    # Connect

    async def connect(self) -> None:
        """Connect, or wait for the connecting that is under way."""
        callback = running_callback()
        if self._disconnecting and callback is not None and callback is self._on_disconnected:
            raise ConnectionError(
                "disconnect() is under way and waits for this very handler: connect() after it"
            )
        while self._disconnecting is not None:
            await asyncio.shield(self._disconnecting)
        task = self._connecting
        begun_here = task is None or task.done()
        if task is None or task.done():
            if self.connection is not None and self.connection.is_open:
                return
            task = self._start(
                self._establish(self._config.max_retry_attempts, set(), None), "connect"
            )
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                if begun_here:
                    task.cancel()
                    await asyncio.wait([task])
                raise
            raise ConnectionError(
                "connecting was given up: disconnect() was called, or another connect() cancelled"
            ) from None

    def _start(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[object]:
        task = self._connecting = asyncio.create_task(work, name=f"avatarwire {name}")
        # Whoever waits may be gone by then; asyncio would log an error that no one fetched.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _establish(
        self,
        attempts: int,
        failed: set[tuple[str, int]],
        backoff: ExponentialBackoffStrategy | None,
    ) -> AkoolConnection:
        """Dial until one instance confirms; with ``backoff``, discovery may fail too."""
        left = attempts
        last: AkoolStreamingAvatarError | None = None
        while left > 0:
            candidates: list[Instance] = []
            try:
                candidates = await self._candidates(failed)
            except ServiceDiscoveryError as exc:
                if backoff is None:
                    raise
                left, last = left - 1, exc
            for instance in candidates[:left]:
                left -= 1
                try:
                    return await self._dial(instance)
                except ConnectionError as exc:
                    if self._config.server_url and backoff is None:
                        raise
                    logger.info("session %s: %s", self._config.session_id, exc)
                    failed.add((instance.ip, instance.port))
                    last = exc
            if backoff is not None and left > 0:
                await backoff.wait()
        raise RetryError(
            f"Failed to connect after {attempts} attempts: {last}",
            code=None if last is None else last.code,
            setting=None if last is None else last.setting,
        ) from last

    async def _candidates(self, failed: set[tuple[str, int]]) -> list[Instance]:
        direct = self._config.direct_instance()
        if direct is not None:
            candidates = [direct]
        else:
            try:
                async with transport.shared_client(self._config.ssl_context) as client:
                    instances = await discover(client, self._config)
            except RestError as exc:
                raise ServiceDiscoveryError(
                    f"service discovery failed: {exc}", setting=exc.setting
                ) from exc
            candidates = ordered(instances, self._config, failed)
        self.available_count = len(candidates)
        return candidates

    async def _dial(self, instance: Instance) -> AkoolConnection:
        config = self._config
        logger.info(
            "session %s: connecting to %s:%d", config.session_id, instance.ip, instance.port
        )
        lost = functools.partial(self._lost, instance)
        connection = AkoolConnection(config, self._wire, instance, self._on_received, lost)
        self.connection = connection
        await connection.open()
        return connection

    # Lost

    def _lost(self, instance: Instance, error: ConnectionError) -> None:
        logger.info("session %s: %s", self._config.session_id, error)
        self._on_ended()
        if error.code != NORMAL_CLOSURE and self._disconnecting is None:
            self._tell("on_error", error)
        self._on_disconnected = self._tell("on_disconnected")
        under_way = self._connecting is not None and not self._connecting.done()
        if self._config.reconnect and not under_way and self._disconnecting is None:
            self._start(self._reconnect(instance), "reconnect")

    async def _reconnect(self, lost: Instance) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while True:
                # A platform that takes a session and drops it again is not dialled in a loop.
                if clock() - self._restored_s < RECONNECT_MAX_DELAY_S:
                    await self._backoff.wait()
                else:
                    self._backoff.reset()
                connection = await self._establish(
                    self._config.reconnect_max_attempts, {(lost.ip, lost.port)}, self._backoff
                )
                self._restored_s = clock()
                try:
                    await self._restore()
                except AkoolStreamingAvatarError as exc:
                    if connection.is_open:
                        self._give_up(exc)
                if connection.is_open:
                    return
                lost = connection.instance
        except AkoolStreamingAvatarError as exc:
            self._give_up(exc)
            raise

    def _give_up(self, exc: AkoolStreamingAvatarError) -> None:
        logger.warning("session %s: not restored: %s", self._config.session_id, exc)
        self._tell("on_error", exc)

    # Disconnect

    async def disconnect(self, leave: Callable[[AkoolConnection], Awaitable[None]]) -> None:
        """End the session; every caller returns when it has ended.

        Args:
            leave: says goodbye on a connection that is open.
        """
        callback = running_callback()
        if callback is not None:
            if callback is self._on_disconnected and self._disconnecting is not None:
                return  # the disconnecting waits for this very handler
            self._disconnect_callers.add(callback)
        if self._disconnecting is None:
            self._disconnecting = asyncio.create_task(
                self._disconnect(leave), name="avatarwire disconnect"
            )
        await asyncio.shield(self._disconnecting)

    async def _disconnect(self, leave: Callable[[AkoolConnection], Awaitable[None]]) -> None:
        try:
            if self._connecting is not None:
                connecting = self._connecting
                connecting.cancel()
                await asyncio.wait([connecting])
            connection = self.connection
            if connection is not None:
                if connection.is_open:
                    await leave(connection)
                await connection.close()
            told = self._on_disconnected
            if told is not None and told not in self._disconnect_callers:
                await asyncio.wait([told], timeout=HANDLER_LIMIT_S)
        finally:
            self._disconnecting = None
            self._disconnect_callers.clear()
