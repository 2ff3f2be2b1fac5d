"""Akool's sessions, beside Live Avatar's in the same process and event loop."""

import asyncio
import contextlib
import random
import struct
import traceback
from bisect import bisect
from collections import Counter, deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ledger import counted_pcm
from run import HANG_S, Run, quietly

from avatarwire import AvatarwireError
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, AkoolFaults, AkoolSession, DiscoveryFault

if TYPE_CHECKING:
    from avatarwire.streaming import AudioStream, Playout

__all__ = ["Akool"]

SESSIONS = 10
BYTES_PER_MS = 32  # 16 kHz mono


class Akool:
    """One platform, its clients, and what goes wrong with it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._emulator = AkoolEmulator()

    async def run(self) -> None:
        chance = random.Random(self._run.random.randrange(1 << 30))
        async with self._emulator:
            directing = asyncio.create_task(self._direct(chance))
            seeds = [chance.randrange(1 << 30) for _ in range(SESSIONS)]
            await asyncio.gather(*map(self._slot, seeds))
            await directing

    async def _slot(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._run.is_over:
            try:
                async with asyncio.timeout(2 * HANG_S):
                    await self._live(chance)
            except Exception:  # each is a finding
                self._run.failures.append(f"Akool: {traceback.format_exc(limit=-3)}")

    async def _live(self, chance: random.Random) -> None:
        client = StreamingAvatarClient(
            "sk-chaos", "avatar-1", self._emulator.discovery_url, max_retry_attempts=2,
            heartbeat_interval=1, pong_timeout=1, connection_timeout=2, discovery_timeout=2,
            message_timeout=2, reconnect=chance.random() < 0.7, reconnect_max_attempts=4,
            connect=self._run.connect,
        )  # fmt: skip
        begun: list[None] = []
        ended: list[None] = []
        turns: list[_Turn] = []
        outlived: list[AudioStream] = []

        def disconnected() -> None:
            ended.append(None)
            streams = [turn.stream for turn in turns if turn.stream.written_ms]
            outlived.extend(stream for stream in streams if not stream.is_resolved)

        client.on_connected = lambda: begun.append(None)
        client.on_disconnected = disconnected
        try:
            await client.connect()
        except AvatarwireError:
            self._run.counts["Akool starts that failed"] += 1
            await client.disconnect()
            self._forget(client.session_id)
            return
        session = next(s for s in self._emulator.sessions if s.session_id == client.session_id)
        speaking = asyncio.create_task(self._speak(client, session, turns, chance))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(chance.uniform(1, 8)):
                await client.wait_closed()
        async with asyncio.timeout(HANG_S):
            await client.disconnect()
            await speaking
        assert not client.is_running, "disconnected, and it runs"
        assert not outlived, f"turns that outlived their connection: {outlived}"
        assert len(begun) == len(ended), f"{len(begun)} connections, {len(ended)} ends"
        if session.is_connected:
            await session.wait_closed()
        _check(session, turns)
        self._forget(client.session_id)
        self._run.counts["Akool sessions"] += 1
        self._run.counts["Akool turns"] += len(turns)

    async def _speak(
        self,
        client: StreamingAvatarClient,
        session: AkoolSession,
        turns: "list[_Turn]",
        chance: random.Random,
    ) -> None:
        await quietly(client.set_agora_params("app", "channel", "token", "7"))
        last = 0
        while client.is_running:
            stream = client.audio_stream(paced=chance.random() < 0.8, buffer_ms=500)
            turn = _Turn(stream, last, session.connections)
            turns.append(turn)
            try:
                async with stream:
                    for _ in range(chance.randrange(1, 8)):
                        size_bytes = 4 * chance.randrange(1, 2000)
                        pcm = counted_pcm(last, size_bytes)
                        last += size_bytes // 4
                        if not await stream.write(pcm):
                            break
                    if chance.random() < 0.2:
                        await stream.interrupt()
            except (AvatarwireError, ConnectionError):
                pass
            turn.last = last
            if not stream.written_ms:
                turns.remove(turn)
                await asyncio.sleep(0.05)  # it could not be opened: being connected again
                continue
            turn.playout = await stream.wait_playout(HANG_S)
            assert turn.playout.reason != "timed_out", "a turn of Akool's hangs"

    def _forget(self, session_id: str) -> None:
        self._emulator.sessions[:] = [
            session for session in self._emulator.sessions if session.session_id != session_id
        ]

    async def _direct(self, chance: random.Random) -> None:
        choices: list[dict[str, Any]] = [
            {}, {}, {}, {"close_after_messages": 2, "close_code": 1011},
            {"close_after_messages": 20, "close_code": 4000}, {"withhold": {"ack"}},
            {"withhold": {"pong"}}, {"withhold": {"agora_connected"}},
            {"withhold": {"websocket_connected"}}, {"handshakes": deque([503, 4003])},
            {"discoveries": deque([DiscoveryFault(), DiscoveryFault(status=500)])},
            {"errors": {"interrupt": (4000, "chaos")}},
        ]  # fmt: skip
        while not self._run.is_over:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            connected = [s for s in self._emulator.sessions if s.is_connected]
            if connected and chance.random() < 0.3:
                chance.choice(connected).cut()
                self._run.counts["Akool fault cut"] += 1
            else:
                fault = chance.choice(choices)
                for name in fault:
                    self._run.counts[f"Akool fault {name}"] += 1
                self._emulator.faults = AkoolFaults(**fault)
        self._emulator.faults = AkoolFaults()


class _Turn:
    """One turn: the numbers that were written to it, and what became of them."""

    def __init__(self, stream: "AudioStream", first: int, connections: int) -> None:
        self.stream = stream
        self.first = self.last = first
        self.connections = connections
        self.playout: Playout


def _check(session: AkoolSession, turns: list[_Turn]) -> None:
    """Hold what was written against what the platform heard: in order, once, and all of it.

    Raises:
        AssertionError: something is missing, twice, or out of order.
    """
    numbers = struct.unpack(f"<{len(session.pcm) // 4}I", session.pcm)
    assert all(a < b for a, b in pairwise(numbers)), "out of order, or twice"
    firsts = [turn.first for turn in turns]
    heard = Counter(bisect(firsts, number) for number in numbers)
    for index, turn in enumerate(turns, 1):
        playout, heard_ms = turn.playout, heard[index] * 4 / BYTES_PER_MS
        assert abs(playout.written_ms - (turn.last - turn.first) * 4 / BYTES_PER_MS) < 1e-6, playout
        assert abs(playout.written_ms - playout.sent_ms - playout.dropped_ms) < 1e-6, playout
        assert heard_ms < playout.sent_ms + 1e-6, (heard_ms, playout)
        # The goodbye has come, and on the connection of the turn: so has all before it.
        if session.left is not None and turn.connections == session.connections:
            assert abs(heard_ms - playout.sent_ms) < 1e-6, (heard_ms, playout)
