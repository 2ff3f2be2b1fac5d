"""Someone who listens to a connection, and can be asked for one message after the other."""

import asyncio
from collections import deque

from avatarwire.errors import SessionLostError


class Listener:
    """Takes what a connection hands on.

    Attributes:
        batches: what was handed on in one go, in order.
        ends: the close codes at the ends that were told: one, after the last message.
    """

    def __init__(self, connection):
        self.batches = []
        self.ends = []
        self._connection = connection
        self._messages = deque()
        self._changed = asyncio.Event()
        self._closing = None
        connection.listen(self)

    def received(self, messages):
        self.batches.append(messages)
        self._messages.extend(messages)
        self._changed.set()

    def ended(self):
        self.ends.append(self._connection.close_code)

    async def receive(self):
        """Return the next message; raise SessionLostError behind the last."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.wait_closed())
            self._closing.add_done_callback(lambda _: self._changed.set())
        while not self._messages:
            if self._closing.done():
                raise SessionLostError(self._connection.close_code, self._connection.close_reason)
            self._changed.clear()
            await self._changed.wait()
        return self._messages.popleft()
