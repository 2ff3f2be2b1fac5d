"""A slow link to a platform of this machine: its bandwidth, its delay, its stalls.

It stands between the listening socket and the server. What a client sends is taken off the socket
no faster than the link carries it, and the receive buffer is small, so that the client's own
buffers fill as they do before a real link.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, NamedTuple, cast

__all__ = ["LinkFaults", "LinkTransport", "SlowLink", "Stall", "receive_buffer_bytes"]

#: What goes over a link at a time, as packets do.
PACKET_BYTES = 1_400
#: How much sound a link's receive buffer holds, and what a kernel takes as the least.
RECEIVE_BUFFER_S = 0.05
MIN_RECEIVE_BUFFER_BYTES = 4_096
#: How much may wait on the way to the client before the server is asked to pause, and to go on.
HIGH_WATER_BYTES = 65_536
LOW_WATER_BYTES = 16_384


class Stall(NamedTuple):
    """A time in which nothing passes, in either direction.

    Attributes:
        duration_s: how long it lasts, in seconds.
        after_s: when it begins, in seconds after the connection has opened.
    """

    duration_s: float
    after_s: float


@dataclass(slots=True, kw_only=True)
class LinkFaults:
    """How slow the link is to which a platform listens; both directions have the same.

    Attributes:
        bandwidth_bit_s: how many bits a second it carries; None: as many as come.
        latency_s: how long everything is on its way.
        jitter_s: by how much that varies, at random; the order stays.
        stalls: when nothing passes, counted from each connection's opening.
    """

    bandwidth_bit_s: float | None = None
    latency_s: float = 0.0
    jitter_s: float = 0.0
    stalls: list[Stall] = field(default_factory=list)

    @property
    def is_slow(self) -> bool:
        """Whether anything passes later than it comes."""
        return bool(self.bandwidth_bit_s or self.latency_s or self.jitter_s or self.stalls)


def receive_buffer_bytes(faults: LinkFaults) -> int | None:
    """Return how large a receive buffer the link's end has; None: what the system gives."""
    if not faults.bandwidth_bit_s:
        # What stalls must not be taken in meanwhile by a buffer that has place for seconds.
        return MIN_RECEIVE_BUFFER_BYTES if faults.stalls else None
    return max(MIN_RECEIVE_BUFFER_BYTES, round(faults.bandwidth_bit_s / 8 * RECEIVE_BUFFER_S))


class SlowLink(asyncio.Protocol):
    """One connection over the link: the server's protocol behind it is served as the link allows.

    Args:
        server: the protocol that serves the connection.
        faults: asked for at each packet, so that they can change at any time.
    """

    def __init__(self, server: asyncio.Protocol, faults: Callable[[], LinkFaults]) -> None:
        self._server = server
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self._stalls: list[tuple[float, float]] = []  # on demand: begin and end on the loop's clock
        self._is_paused_by_server = False
        self._resume_timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._inbound: _Way
        self._to_client: LinkTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._inbound = _Way(self, self._deliver)
        self._to_client = LinkTransport(self, self._transport, self._server)
        buffer_bytes = receive_buffer_bytes(self._faults())
        if buffer_bytes is not None:
            self._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, buffer_bytes)
        self._server.connection_made(self._to_client)

    def data_received(self, data: bytes) -> None:
        """Hand on what the client sent when the link has carried it; take no more until then."""
        if self._inbound.is_empty and not self.is_slow:
            self._server.data_received(data)
            return
        free_s = self._inbound.put(data)
        if free_s > self._loop.time():
            self._transport.pause_reading()
            if self._resume_timer is not None:
                self._resume_timer.cancel()
            self._resume_timer = self._loop.call_at(free_s, self._read_on)

    def eof_received(self) -> bool:
        """Hand on that the client sends no more; the server then hangs up."""
        if self._inbound.is_empty:
            self._deliver(None)
        else:
            self._inbound.put_end()
        return True  # what is on its way to the client is still carried

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is still on its way."""
        self._inbound.clear()
        self._to_client.clear()
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        self._server.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on that the socket takes no more."""
        self._server.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that the socket takes more."""
        self._server.resume_writing()

    # What both ways ask

    @property
    def faults(self) -> LinkFaults:
        """How slow the link is now."""
        return self._faults()

    @property
    def is_slow(self) -> bool:
        """Whether anything passes later than it comes."""
        return bool(self._stalls) or self._faults().is_slow

    def after_stalls(self, at_s: float) -> float:
        """Return when something passes that would pass at ``at_s`` if nothing stalled."""
        planned = [
            (self._opened_s + stall.after_s, self._opened_s + stall.after_s + stall.duration_s)
            for stall in self._faults().stalls
        ]
        for begin_s, end_s in sorted(planned + self._stalls):
            if begin_s <= at_s < end_s:
                at_s = end_s
        return at_s

    def stall(self, duration_s: float) -> None:
        """Let nothing pass from now on, for so long."""
        now_s = self._loop.time()
        self._stalls = [stall for stall in self._stalls if stall[1] > now_s]
        self._stalls.append((now_s, now_s + duration_s))

    def spare(self) -> None:
        """Let all pass at once from now on: who is there is no client of the platform."""
        self._faults, self._stalls = LinkFaults, []

    def read_on_demand(self, *, is_wanted: bool) -> None:
        """Hand on nothing, or go on, as the server asks."""
        self._is_paused_by_server = not is_wanted
        if is_wanted:
            self._inbound.go_on()
            self._read_on()
        else:
            self._inbound.hold()
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if not self._is_paused_by_server and not self._transport.is_closing():
            self._transport.resume_reading()

    def _deliver(self, data: bytes | None) -> None:
        if data is not None:
            self._server.data_received(data)
        elif not self._server.eof_received():
            self._to_client.close()


class _Way:
    """One direction of a link: hands on in order what has been put on it, when it has arrived."""

    def __init__(self, link: SlowLink, deliver: Callable[[bytes | None], None]) -> None:
        self._link = link
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._packets: deque[tuple[float, bytes | None]] = deque()
        self._free_s = 0.0  # when the link has carried all that was put on it
        self._last_s = 0.0  # when the last of it arrives
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = False
        self.waiting_bytes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._packets

    def put(self, data: bytes) -> float:
        """Put data on the link; return when the link has carried it and takes more."""
        faults = self._link.faults
        for at in range(0, len(data), PACKET_BYTES):
            packet = bytes(data[at : at + PACKET_BYTES])
            begin_s = self._link.after_stalls(max(self._loop.time(), self._free_s))
            carried_s = len(packet) * 8 / faults.bandwidth_bit_s if faults.bandwidth_bit_s else 0
            self._free_s = self._link.after_stalls(begin_s + carried_s)
            jitter_s = random.uniform(-faults.jitter_s, faults.jitter_s)  # noqa: S311
            delay_s = max(0.0, faults.latency_s + jitter_s)
            self._add(self._link.after_stalls(self._free_s + delay_s), packet)
            self.waiting_bytes += len(packet)
        return self._free_s

    def put_end(self) -> None:
        """Put on the link that nothing follows."""
        self._add(self._last_s, None)

    def hold(self) -> None:
        """Hand on nothing until ``go_on()``."""
        self._is_held = True

    def go_on(self) -> None:
        """Hand on what has arrived meanwhile, and what comes."""
        self._is_held = False
        self._set_timer()

    def clear(self) -> None:
        """Drop what is on its way."""
        self._packets.clear()
        self.waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _add(self, arrives_s: float, packet: bytes | None) -> None:
        self._last_s = max(self._last_s, arrives_s)
        self._packets.append((self._last_s, packet))
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._packets and not self._is_held:
            self._timer = self._loop.call_at(self._packets[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._packets and not self._is_held and self._packets[0][0] <= now_s:
            # A stall on demand holds what was on its way when it began.
            arrives_s = self._link.after_stalls(now_s)
            if arrives_s > now_s:
                self._timer = self._loop.call_at(arrives_s, self._arrive)
                return
            _, packet = self._packets.popleft()
            self.waiting_bytes -= len(packet or b"")
            self._deliver(packet)
        self._set_timer()


class LinkTransport(asyncio.Transport):
    """The transport that the server sees: what it writes goes over the link."""

    def __init__(
        self, link: SlowLink, transport: asyncio.Transport, server: asyncio.Protocol
    ) -> None:
        super().__init__()
        self._link = link
        self._transport = transport
        self._server = server
        self._outbound = _Way(link, self._send)
        self._is_full = False
        self._is_ending = False

    def stall(self, duration_s: float) -> None:
        """Let nothing pass from now on, in either direction, for so long."""
        self._link.stall(duration_s)

    def spare(self) -> None:
        """Let all pass at once from now on: who is there is no client of the platform."""
        self._link.spare()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data when the link has carried it."""
        if self._is_ending:
            return
        if self._outbound.is_empty and not self._link.is_slow:
            self._transport.write(data)
            return
        self._outbound.put(bytes(data))
        if not self._is_full and self._outbound.waiting_bytes > HIGH_WATER_BYTES:
            self._is_full = True
            self._server.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send data when the link has carried it."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Hang up once the link has carried what was written."""
        if self._outbound.is_empty:
            self._transport.close()
        elif not self._is_ending:
            self._outbound.put_end()
        self._is_ending = True

    def abort(self) -> None:
        """Hang up at once."""
        self._is_ending = True
        self._outbound.clear()
        self._transport.abort()

    def clear(self) -> None:
        """Drop what is still on its way to the client."""
        self._is_ending = True
        self._outbound.clear()

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._is_ending or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Hand nothing on to the server."""
        self._link.read_on_demand(is_wanted=False)

    def resume_reading(self) -> None:
        """Hand on again what comes."""
        self._link.read_on_demand(is_wanted=True)

    def is_reading(self) -> bool:
        """Return whether what comes is handed on."""
        return self._transport.is_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return what the socket's transport knows."""
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have been written and not sent."""
        return self._transport.get_write_buffer_size() + self._outbound.waiting_bytes

    def _send(self, data: bytes | None) -> None:
        if data is None:
            self._transport.close()
            return
        self._transport.write(data)
        if self._is_full and self._outbound.waiting_bytes < LOW_WATER_BYTES:
            self._is_full = False
            self._server.resume_writing()
