"""What a client waits for: acks, and states of its session."""

import asyncio
from collections.abc import Awaitable, Callable

from avatarwire.akool.config import ClientConfig
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    ConnectionError,  # noqa: A004 - the published name
)
from avatarwire.akool.messages import Message, ServerError
from avatarwire.akool.protocol import AkoolProtocol, Received
from avatarwire.errors import AvatarwireError, SessionLostError
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import Outbox

__all__ = ["Acks", "server_error"]


class Acks(Part[Received]):
    """The calls that wait for an answer of the platform; each is told its answer, or its error.

    Args:
        config: whose key and token are kept out of errors.
        protocol: what matches answers to calls.
        outbox: what is sent through.
        named: returns the published client's error for one of the engine's.
    """

    def __init__(
        self,
        config: ClientConfig,
        protocol: AkoolProtocol,
        outbox: Outbox,
        *,
        named: Callable[[Exception], AkoolStreamingAvatarError],
    ) -> None:
        self._config = config
        self._protocol = protocol
        self._outbox = outbox
        self._named = named
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def expect(self, what: str) -> asyncio.Future[None]:
        """Return a future of the ack of a mid, or of one of the protocol's constants."""
        future = self._waiting[what] = asyncio.get_running_loop().create_future()
        self._protocol.expect(what)
        return future

    def forget(self, what: str) -> None:
        """Stop waiting for it."""
        self._protocol.forget(what)
        self._waiting.pop(what, None)

    async def send(self, json: bytes) -> None:
        """Send one text message in one write; wait only while the write buffer is full.

        Raises:
            ConnectionError: the connection has ended.
        """
        try:
            if not self._outbox.write_text(json):
                await self._outbox.writable()
        except AvatarwireError as exc:
            raise self._named(exc) from exc

    async def call(self, message: Message, timeout_s: float) -> None:
        """Send a message and wait for its ack; ``timeout_s`` holds for both together.

        Raises:
            ConnectionError: the platform answered with an error, or not in time, or the connection
                ended; its ``code`` is the platform's or the close code.
        """
        acked = self.expect(message.mid)
        try:
            await self.wait(self._sent_and_acked(message, acked), timeout_s, "an ack")
        finally:
            self.forget(message.mid)

    async def wait(self, answer: Awaitable[None], timeout_s: float, name: str) -> None:
        """Wait for what ``expect`` gave.

        Raises:
            ConnectionError: see ``call``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await answer
            # A future that was done already did not suspend this call, so the handlers of its
            # message have not begun.
            await asyncio.sleep(0)
        except TimeoutError:
            silence = AvatarwireError(f"the platform did not send {name} within {timeout_s:g} s")
            raise self._named(silence) from None

    async def _sent_and_acked(self, message: Message, acked: asyncio.Future[None]) -> None:
        await self.send(message.json)
        await acked

    # What happens to the session

    def notice(self, received: Received) -> None:
        """Answer the calls that the message is about."""
        if isinstance(received.inbound, ServerError):
            for what in received.failed:
                self._fail(what, server_error(received.inbound, self._config))
        for what in received.done:
            future = self._waiting.pop(what)
            if not future.done():
                future.set_result(None)

    def gap(self, lost: SessionLostError) -> None:
        """Fail every call that waits: no answer comes any more."""
        self.ended(lost)

    def ended(self, lost: SessionLostError) -> None:
        """Fail every call that waits: no answer comes any more."""
        for what in list(self._waiting):
            self._fail(what, self._named(lost))

    def _fail(self, what: str, error: AkoolStreamingAvatarError) -> None:
        self._protocol.forget(what)  # its answer may come after all, before the call has ended
        future = self._waiting.pop(what)
        if not future.done():
            future.set_exception(error)
            # Whoever waited may be gone; asyncio would log an error that no one fetched.
            future.exception()


def server_error(error: ServerError, config: ClientConfig) -> ConnectionError:
    """Return the platform's error as the published client words it, without key and token."""
    return ConnectionError(
        f"Server error {error.code}: {config.redacted(error.text)}", code=error.code
    )
