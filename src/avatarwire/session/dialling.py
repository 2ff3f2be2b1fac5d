"""From a decision to dial to a connection that the platform has confirmed."""

import asyncio
import logging
from typing import Generic, TypeVar

from avatarwire import transport
from avatarwire._tasks import begin_later
from avatarwire.errors import (
    AvatarwireError,
    ConnectFailedError,
    HandshakeTimeoutError,
    SessionLostError,
)
from avatarwire.session.dialect import Endpoint
from avatarwire.session.ending import Ending
from avatarwire.session.lifecycle import Dial, End, Lifecycle, State
from avatarwire.session.ports import Ports
from avatarwire.session.tasks import keep
from avatarwire.transport import Connection, Link, Receiver
from avatarwire.transport.turnstile import pass_turnstile

__all__ = ["Dialling"]

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001

ReceivedT = TypeVar("ReceivedT")


class Dialling(Generic[ReceivedT]):
    """Dials until the platform has confirmed a connection, or the rules say that it is over.

    There is one for the first connection of a session and one for each gap. It ends with its task.

    Args:
        ports: where to dial, by which words, and who is told.
        lifecycle: the rules.
        ending: tells that no connection comes, where there had been one.
        dial: the first attempt.
        receiver: what the connection is for.

    Attributes:
        task: the work; it raises why no connection came.
        link: what was dialled last; None while nothing is open.
    """

    __slots__ = (
        "_confirmation",
        "_ending",
        "_endpoint",
        "_is_again",
        "_lifecycle",
        "_ports",
        "_receiver",
        "link",
        "task",
    )

    def __init__(
        self,
        ports: Ports[ReceivedT],
        lifecycle: Lifecycle,
        ending: Ending[ReceivedT],
        dial: Dial,
        *,
        receiver: Receiver,
    ) -> None:
        self.link: Link | None = None
        self._ports = ports
        self._lifecycle = lifecycle
        self._ending = ending
        self._receiver = receiver
        self._is_again = lifecycle.state is State.GAP
        self._endpoint: Endpoint | None = None
        self._confirmation: asyncio.Future[None] | None = None
        work = self._run(dial)
        self.task: asyncio.Task[None] = keep(begin_later(work, name="avatarwire connect"))

    @property
    def is_under_way(self) -> bool:
        """Whether it still dials."""
        return not self.task.done()

    # What the receiver has heard

    def sees_confirmation(self) -> bool:
        """Return whether the connection has just become ready; a refusal fails the attempt."""
        if self._confirmation is None or self._confirmation.done():
            return False
        try:
            return self._ports.dialect.is_ready
        except AvatarwireError as exc:
            self._confirmation.set_exception(exc)
            return False

    def confirm(self) -> None:
        """Take the connection as ready."""
        if self._confirmation is not None:
            self._confirmation.set_result(None)

    def lost(self, code: int, reason: str) -> None:
        """Take note that the connection has ended; before its confirmation the attempt fails."""
        if self._confirmation is None or self._confirmation.done():
            return
        name = "" if self._endpoint is None else self._endpoint.confirmation
        self._confirmation.set_exception(SessionLostError(code, reason or f"before {name}"))
        # Nobody waits for it when the attempt has already failed for another cause.
        self._confirmation.exception()

    async def give_up(self, limit_s: float) -> bool:
        """Cancel what is under way; return whether it, or someone else, was in time for that.

        What does not end within ``limit_s`` seconds, as a program's own ``connect`` may not, is
        left to itself: nothing that comes of it is heard.
        """
        if self.is_under_way:
            self.task.cancel()
            await asyncio.wait([self.task], timeout=limit_s)
            if self.is_under_way:
                if self.link is not None:
                    self.link.abandon(NORMAL_CLOSURE)
                return True
        return self.task.cancelled()

    # The work

    async def _run(self, dial: Dial) -> None:
        try:
            await self._dial_until_confirmed(dial)
        except asyncio.CancelledError:
            # A stop has set another state: it is the event loop that ends.
            if self._lifecycle.state is State.GAP:
                await self._ending.loop_ends()
            raise
        except AvatarwireError:
            raise
        except Exception as exc:
            self._ports.logger.exception(
                "restoring a connection failed unexpectedly: the session ends"
            )
            self._ending.tell(End(1006, f"an unexpected {type(exc).__name__}", exc))
            raise

    async def _dial_until_confirmed(self, dial: Dial) -> None:
        again, dialect = self._is_again, self._ports.dialect
        endpoints: list[Endpoint] = []
        while True:
            if again and not endpoints:
                self._ports.reporter.retrying(dial.attempt, dial.delay_s)
            await asyncio.sleep(dial.delay_s)
            await pass_turnstile()
            try:
                if not endpoints:
                    endpoints.extend(await dialect.endpoints(again=again))
                await self._open(endpoints.pop(0))
            except (AvatarwireError, OSError) as exc:
                self._ports.log(logging.INFO, "attempt %d failed: %s", dial.attempt, exc)
                decision = self._lifecycle.failed(
                    exc, is_final=dialect.is_final(exc), has_more=bool(endpoints)
                )
                if isinstance(decision, Dial):
                    dial = decision
                    continue
                if again or self.link is not None:
                    self._ending.tell(decision)
                raise
            else:
                return

    async def _open(self, endpoint: Endpoint) -> None:
        """Dial one endpoint, and return when the platform has confirmed."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + endpoint.timeout_s
        greeting = self._ports.dialect.greeting(endpoint)
        self._endpoint = endpoint
        self._ports.log(logging.INFO, "connecting to %s", endpoint.name)
        confirmation = self._confirmation = loop.create_future()

        async def dial() -> Connection:
            connection = await (self._ports.connect or transport.connect)(
                endpoint.url,
                open_timeout_s=endpoint.timeout_s,
                headers=endpoint.headers,
                ping_interval_s=endpoint.ping_interval_s,
                ping_timeout_s=endpoint.ping_timeout_s,
                max_message_bytes=endpoint.max_message_bytes,
                ssl_context=endpoint.ssl_context,
            )
            # Before anything is read: what is received may have more sent.
            for message in greeting:
                self._ports.outbox.say(message, connection)
            return connection

        # Before it is open: messages may arrive before ``open()`` has returned.
        link = self.link = Link(dial, self._receiver)
        try:
            await link.open()
        except BaseException as exc:
            self.link = None
            if isinstance(exc, ValueError):
                raise ConnectFailedError(f"{endpoint.name} is unusable: {exc}") from exc
            raise
        try:
            await self._wait(confirmation, endpoint, deadline_s)
            self._require_not_ended()
        except BaseException:
            confirmation.cancel()
            # 1000 would tell the platform that the session is over.
            code = GOING_AWAY if self._is_again else NORMAL_CLOSURE
            try:
                await link.close(code)
            except asyncio.CancelledError:
                link.abandon(code)  # what it still tells would be taken for the next connection's
                raise
            raise

    async def _wait(
        self, confirmation: asyncio.Future[None], endpoint: Endpoint, deadline_s: float
    ) -> None:
        try:
            async with asyncio.timeout_at(deadline_s):
                await asyncio.shield(confirmation)
        except TimeoutError:
            # Cancelled: a confirmation that is read from now on, while we close, opens nothing.
            # One that was read in this very moment counts.
            if confirmation.cancel():
                raise HandshakeTimeoutError(
                    f"Timed out waiting for {endpoint.confirmation} after {endpoint.timeout_s}s"
                ) from None
            confirmation.result()

    def _require_not_ended(self) -> None:
        if self._lifecycle.end is not None:
            raise self._lifecycle.end.error
