"""Fifty sessions, storms of others, Akool's beside them, and faults of every kind by a seed.

Every call must return or raise, everything written must be delivered, reported, or have been in a
socket that was cut, and nothing may be left at the end: no task, descriptor, timer or memory.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import logging
import random
import sys
import time
import traceback
from collections import Counter, deque
from typing import Any

from akool import Akool
from ledger import EVENT, Ledger, WrittenTurn, counted_pcm
from run import HANG_S, Errors, Run, descriptors, quietly, watch_memory
from scenes import Scenes
from storms import AVATAR, START_LIMIT_S, Storms

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, AvatarwireError
from avatarwire.codec import AudioFrame
from avatarwire.emulator import Faults, LiveAvatarEmulator, LiveSession, StartFault
from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.session.outbox import Outbox
from avatarwire.streaming import AudioStream
from avatarwire.transport import WebSocketConnection

SESSIONS = 50
#: Dials without success, in a row.
ATTEMPTS = 4
CLOSE_CODES = (1000, 1001, 1002, 1008, 1009, 1011, 1013, 4000)
#: From here on a run has grown all that it needs in its first minute.
LONG_S = 180
GROWTH_LIMIT_BYTES = 8_000_000
HALF_A_SAMPLE = b"\x55"
#: How long a platform flaps: far longer than all attempts of a session take.
FLAPS_S = 8.0
STRIKE_EVERY_S = 6.0
#: How many turns of a session are still being played when it waits for them.
PLAYED_AT_ONCE = 4
#: How often, and how many long turns are played together when a connection is cut: the next one
#: has no room for all of them.
BURST_CHANCE = 0.1
BURST_TURNS = 3
#: How often a session begins on a platform that says nothing of what it plays.
QUIET_CHANCE = 0.3
BURST_NUMBERS = range(12_000, 24_000)
#: What may not be alive once all sessions have ended.
MORTAL = (AvatarAgent, AudioStream, Outbox, WebSocketConnection)


class Listener(AgentListener):
    """Counts what ends a session, and what restores it."""

    def __init__(self) -> None:
        self.closed: list[int] = []
        self.gaps_s: list[float] = []
        self.reconnected = 0

    async def on_reconnecting(self, attempt: int, delay_s: float) -> None:  # noqa: ARG002
        # Each attempt: a connection that is lost as soon as it is open makes no first one.
        self.gaps_s.append(time.monotonic())

    async def on_reconnected(self, result: object) -> None:  # noqa: ARG002
        self.reconnected += 1

    async def on_closed(self, code: int, reason: str) -> None:  # noqa: ARG002
        self.closed.append(code)


class Chaos(Run):
    """One run: Live Avatar's sessions, and what else goes on beside them."""

    def __init__(self, seconds: float, seed: int) -> None:
        super().__init__(seconds, seed)
        self.memory: list[int] = []
        self.fair_from_s = 0.0
        self.living: set[str] = set()
        self.quiet: set[str] = set()
        self.born_s: dict[str, float] = {}
        self.emulator = LiveAvatarEmulator(greeting="Hello", user_audio=bytes(16000))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.failures.append(f"escaped: {context}"))
        async with self.emulator:
            storms, akool = Storms(self, self.emulator), Akool(self)
            scenes = Scenes(self)
            works = (
                self.direct, self.strike_all, self.tidy, storms.run, akool.run, scenes.run,
            )  # fmt: skip
            director = [asyncio.create_task(work()) for work in works]
            watching = asyncio.create_task(self.watch())
            await asyncio.gather(
                *(self.slot(self.random.randrange(1 << 30)) for _ in range(SESSIONS))
            )
            await asyncio.gather(*director)
            watching.cancel()

    # The sessions

    async def slot(self, seed: int) -> None:
        """Live one session after the other."""
        chance = random.Random(seed)
        while not self.is_over:
            try:
                async with asyncio.timeout(2 * HANG_S):
                    await self.live(chance)
            except Exception:  # each is a finding
                self.failures.append(traceback.format_exc(limit=-3))

    async def live(self, chance: random.Random) -> None:
        config = AvatarAgentConfig(
            "sk-chaos", "avatar-1", base_url=self.emulator.base_url, timeout=2.0,
            reconnect=chance.random() < 0.8, reconnect_base_delay=0.02, reconnect_max_delay=0.3,
            reconnect_max_attempts=ATTEMPTS, start_retries=0, ping_interval=1.0, ping_timeout=2.0,
            on_gap=chance.choice(("resume", "resume", "drop", "fail")),
        )  # fmt: skip
        listener = Listener()
        agent = AvatarAgent(config, listener, connect=self.connect)
        is_quiet = config.reconnect and config.on_gap == "resume" and chance.random() < QUIET_CHANCE
        if is_quiet:
            # A platform that tells more would end a turn when the next one begins.
            self.emulator.faults = Faults(withhold={"session.state", "response.state"})
        try:
            await self.start(agent, chance)
        except (AvatarwireError, TimeoutError):
            self.counts["starts that failed"] += 1
            assert len(listener.closed) <= 1, listener.closed
            assert not agent.is_running
            return
        session_id = agent.session_id
        if session_id is None:
            return
        self.living.add(session_id)
        if is_quiet:
            self.quiet.add(session_id)
        session = next(s for s in self.emulator.sessions if s.session_id == session_id)
        try:
            await self.talk(agent, listener, session, chance)
        finally:
            self.living.discard(session_id)
            self.quiet.discard(session_id)

    async def start(self, agent: AvatarAgent, chance: random.Random) -> None:
        # Some starts are cancelled on the way.
        async with asyncio.timeout(chance.uniform(0, 0.05) if chance.random() < 0.05 else None):
            await agent.start()

    async def talk(
        self, agent: AvatarAgent, listener: Listener, session: LiveSession, chance: random.Random
    ) -> None:
        ledger = Ledger()
        work = [
            asyncio.create_task(self.send_events(agent, ledger, chance)),
            asyncio.create_task(self.speak(agent, session, ledger, chance)),
            asyncio.create_task(quietly(agent.scene_ready())),
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(chance.uniform(1, 10)):
                await agent.wait_closed()
        begun_s, lag_s = time.monotonic(), self.lag_s
        await agent.stop()
        took_s, lag_s = time.monotonic() - begun_s, self.lag_s - lag_s
        assert took_s - lag_s < 3, f"stop() took {took_s:.1f} s, {lag_s:.1f} of them a late loop"
        _, hanging = await asyncio.wait(work, timeout=HANG_S)
        assert not hanging, f"still waiting after the end: {hanging}"
        for task in work:
            task.result()
        assert len(listener.closed) == 1, f"on_closed: {listener.closed}"
        if session.is_connected:
            await session.close(1001)  # the platform had stopped reading, and noticed nothing
            await session.wait_closed()
        ledger.check(session, listener.gaps_s, ATTEMPTS)
        self.emulator.forget(session)
        self.born_s.pop(session.session_id, None)
        self.counts.update({
            "sessions": 1, "events made": ledger.made, "events delivered": ledger.delivered,
            "events reported": len(ledger.raised), "events in a cut socket": ledger.lost_in_cuts,
            "events reported and delivered": ledger.raised_late,
            "turns": len(ledger.turns), "attempts to reconnect": len(listener.gaps_s),
            "reconnected": listener.reconnected, f"ended with {listener.closed[0]}": 1,
        })  # fmt: skip
        for turn in ledger.turns:
            self.counts["ms written"] += round(turn.playout.written_ms)
            self.counts["ms sent"] += round(turn.playout.sent_ms)
            self.counts["ms dropped"] += round(turn.playout.dropped_ms)

    async def send_events(self, agent: AvatarAgent, ledger: Ledger, chance: random.Random) -> None:
        async def send(number: int) -> None:
            data = {
                "n": number,
                "padding": "x"
                * (60_000 if chance.random() < 0.01 else chance.choice((0, 10, 500))),
            }
            try:
                await agent.send_custom_event(None, EVENT, data)
            except (AvatarwireError, ConnectionError):
                ledger.raised.add(number)
            else:
                ledger.returned.add(number)

        while not ledger.raised:
            count = chance.choice((1, 1, 1, 5, 20))
            first, ledger.made = ledger.made, ledger.made + count
            await asyncio.gather(*(send(n) for n in range(first, first + count)))
            await asyncio.sleep(chance.uniform(0.05, 0.5))

    async def speak(
        self, agent: AvatarAgent, session: LiveSession, ledger: Ledger, chance: random.Random
    ) -> None:
        """Say one turn after the other; some are still being played together.

        Of those not paced a connection that is dialled again has to take more than it has room for,
        above all of several long ones that are cut while they are played.
        """
        first = 0
        played: list[asyncio.Task[WrittenTurn]] = []
        while agent.is_running:
            first = await self.burst(agent, session, played, first, chance)
            begun_s = time.monotonic()
            stream = agent.audio_stream(paced=chance.random() < 0.6, buffer_ms=500)
            last = first
            ends_early = chance.random() < 0.2
            try:
                async with stream:
                    for _ in range(chance.randrange(1, 10)):
                        size = 4 * chance.randrange(2, 3000)
                        pcm = counted_pcm(last, size)
                        # Half of a sample may be in one piece and half of it in the next.
                        cut = chance.choice((size, 4 * chance.randrange(size // 4) + 1))
                        last += cut // 4
                        if not await stream.write(pcm[:cut]):
                            break
                        await asyncio.sleep(chance.choice((0, 0, 0.1)))
                        last += (size - cut + 3) // 4
                        if cut < size and not await stream.write(pcm[cut:]):
                            break
                    else:
                        if chance.random() < 0.3:
                            await stream.write(HALF_A_SAMPLE)
                    if ends_early:
                        await stream.interrupt()
            except (AvatarwireError, ConnectionError):
                if not stream.written_ms:
                    break  # it could not be opened
            played.append(asyncio.create_task(_played(stream, first, last, begun_s)))
            if chance.random() < 0.3 or sum(not turn.done() for turn in played) == PLAYED_AT_ONCE:
                await asyncio.wait(played)
            first = last
        ledger.turns += [await turn for turn in played]

    async def burst(
        self,
        agent: AvatarAgent,
        session: LiveSession,
        played: list[asyncio.Task[WrittenTurn]],
        first: int,
        chance: random.Random,
    ) -> int:
        """Sometimes say long turns as fast as they go, and cut the connection.

        Returns:
            The number that is written next.
        """
        if session.session_id not in self.quiet and chance.random() > BURST_CHANCE:
            return first
        for _ in range(BURST_TURNS):
            begun_s, last = time.monotonic(), first + chance.choice(BURST_NUMBERS)
            stream = agent.audio_stream(paced=False)
            try:
                async with stream:
                    await stream.write(counted_pcm(first, 4 * (last - first)))
            except (AvatarwireError, ConnectionError):
                if not stream.written_ms:
                    return first
            played.append(asyncio.create_task(_played(stream, first, last, begun_s)))
            first = last
        self.counts["bursts of turns"] += 1
        session.cut()
        return first

    # The faults

    async def direct(self) -> None:
        """Let something go wrong, again and again."""
        chance = self.random
        doing: set[asyncio.Task[None]] = set()
        deeds = (
            self.cut, self.cut, self.close, self.garbage, self.chatter, self.closing,
            self.new_faults, self.new_faults, self.new_faults, self.stall_loop,
        )  # fmt: skip
        while not self.is_over:
            await asyncio.sleep(chance.uniform(0.01, 0.1))
            connected = [s for s in self.emulator.sessions if s.is_connected]
            if not connected:
                continue
            deed = chance.choice(deeds)
            self.counts[f"fault {deed.__name__}"] += 1
            doing.add(asyncio.create_task(quietly(deed(chance.choice(connected), chance))))
            doing = {task for task in doing if not task.done() or task.result()}
        self.emulator.faults = Faults()
        await asyncio.gather(*doing)

    async def strike_all(self) -> None:
        """Let all sessions lose their connections together: too rare to be left to chance."""
        strikes = itertools.cycle((self.cut_all, self.cut_all, self.flap))
        while not self.is_over:
            await asyncio.sleep(STRIKE_EVERY_S)
            strike = next(strikes)
            self.counts[f"fault {strike.__name__}"] += 1
            strike()

    def cut_all(self) -> None:
        for session in list(self.emulator.sessions):
            session.cut()

    def flap(self) -> None:
        """Lose every connection, for a while, and each new one right after its handshake."""
        self.emulator.faults = Faults(close_after_messages=1, close_code=1011)
        self.fair_from_s = time.monotonic() + FLAPS_S
        self.cut_all()

    async def cut(self, session: LiveSession, _: random.Random) -> None:
        session.cut()

    async def close(self, session: LiveSession, chance: random.Random) -> None:
        await session.close(chance.choice(CLOSE_CODES), "chaos")

    async def garbage(self, session: LiveSession, chance: random.Random) -> None:
        await session.send_binary(chance.randbytes(chance.choice((0, 1, 9, 300))))
        await session.send_raw_text(
            chance.choice(("", "{", "[]", '{"event":7}', '{"event":"session.init"}'))
        )

    async def chatter(self, session: LiveSession, chance: random.Random) -> None:
        await session.send_text("one more question")
        await session.send_binary(AudioFrame(payload=chance.randbytes(320)).pack())
        await session.send_event(MessageBuilder.input_voice_start("r"))

    async def closing(self, session: LiveSession, _: random.Random) -> None:
        await session.send_event(MessageBuilder.session_closing("chaos"))

    async def stall_loop(self, _: LiveSession, chance: random.Random) -> None:
        time.sleep(chance.uniform(0.05, 0.3))  # noqa: ASYNC251 - on purpose

    async def new_faults(self, _: LiveSession, chance: random.Random) -> None:
        """Give every connection that opens from now on another fault."""
        if time.monotonic() < self.fair_from_s:
            return
        number = chance.randrange(1, 60)
        choices: list[dict[str, Any]] = [
            {}, {}, {}, {}, {"cut_after_frames": number}, {"stop_reading_after": number},
            {"stop_reading_after": 1, "pings_per_s": 2000},
            {"close_after_messages": number, "close_code": chance.choice(CLOSE_CODES)},
            {"withhold_init": True}, {"withhold": {"session.state", "response.state"}},
            {"delay_s": 0.2}, {"garble_every": 3}, {"duplicate_every": 2}, {"reorder_every": 2},
            {"token_life_s": 0.0}, {"handshakes": deque([503, 1013] * 2)},
            {"starts": deque([StartFault(code=40001), StartFault(html=True)])},
            {"starts": deque([StartFault(no_answer=True), StartFault(agent_ws_url="")])},
        ]  # fmt: skip
        fault = chance.choice(choices)
        for name in fault:
            self.counts[f"fault {name}"] += 1
        self.emulator.faults = Faults(**fault)

    async def tidy(self) -> None:
        """Forget the platform's side of ended sessions: kept, it would hide a leak of ours."""
        while not self.is_over:
            await asyncio.sleep(0.5)
            now_s = time.monotonic()
            for session in list(self.emulator.sessions):
                if session.start_requests[0]["avatarId"] == AVATAR:
                    continue  # the storm that made it tidies up
                born_s = self.born_s.setdefault(session.session_id, now_s)
                if session.session_id in self.living or now_s - born_s < 5:
                    continue
                if session.is_connected:
                    await session.close(1001)  # a start that was given up while it did not read
                elif session in self.emulator.sessions:
                    self.emulator.forget(session)
                    self.born_s.pop(session.session_id, None)


async def _played(stream: AudioStream, first: int, last: int, begun_s: float) -> WrittenTurn:
    playout = await stream.wait_playout(HANG_S)
    assert playout.reason != "timed_out" or stream.is_resolved, "a turn hangs"
    is_lost = playout.reason == "lost"
    return WrittenTurn(first, last, playout, is_lost, begun_s, time.monotonic())


async def measured(seconds: float, seed: int) -> Chaos:
    """Run, and count what is left."""
    gc.collect()
    before = descriptors()
    chaos = Chaos(seconds, seed)
    logging.getLogger().addHandler(Errors(chaos.failures))
    samples: list[int] = []
    watching = asyncio.create_task(watch_memory(chaos, samples))
    await chaos.run()
    await watching
    chaos.emulator.sessions.clear()
    # A start that the platform never answers lasts its whole limit, whoever has given it up.
    left_s = time.monotonic() + START_LIMIT_S + 5
    while time.monotonic() < left_s and len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    gc.collect()
    alive = Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, MORTAL))
    if alive:
        chaos.failures.append(f"still alive: {dict(alive)}")
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left:
        chaos.failures.append(f"tasks left: {left}")
    more = descriptors() - before
    if more:
        chaos.failures.append(f"{more} descriptors left")
    warm = samples[min(60, len(samples) // 2) :]
    third = max(1, len(warm) // 3)
    begun, ended = max(warm[:third]), max(warm[-third:])
    chaos.memory = [sample // 1_000_000 for sample in samples[:: max(1, len(samples) // 20)]]
    chaos.counts["ms that the loop was late"] = round(chaos.lag_s * 1000)
    chaos.counts["bytes that waited for a peer at most"] = chaos.most_unread_bytes
    chaos.counts["MB resident at first"] = begun // 1_000_000
    chaos.counts["MB resident at last"] = ended // 1_000_000
    # A shorter run has not yet grown all that it needs; for it, what is alive at the end tells.
    if seconds >= LONG_S and ended - begun > GROWTH_LIMIT_BYTES:
        chaos.failures.append(f"memory grew from {begun:,} to {ended:,} bytes")
    return chaos


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chaos = asyncio.run(measured(args.seconds, args.seed))
    for name, count in sorted(chaos.counts.items()):
        print(f"{name:<38} {count:>10,}")
    print("resident MB, evenly over the run:", *chaos.memory)
    for failure, count in Counter(chaos.failures).most_common(20):
        print(f"FAILED {count}x {failure[-3000:]}", file=sys.stderr)
    if chaos.failures:
        raise SystemExit(1)
    print(f"{args.seconds:g} s with seed {args.seed}: nothing escaped, hung or leaked")


if __name__ == "__main__":
    main()
