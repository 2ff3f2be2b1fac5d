"""Every way in which a session ends: one callback, the right code, and nothing left."""

import asyncio
import contextlib
import gc
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from agents import Recorder, config_for

from avatarwire import (
    AvatarAgent,
    ConnectFailedError,
    NotConnectedError,
    SessionLost,
    SessionStartError,
)
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.streaming.pacer import running_pacer
from avatarwire.transport import rest

DESCRIPTORS = Path("/proc/self/fd")
CODE_OF_A_CUT, CODE_OF_SILENCE = 1006, 1011


@dataclass
class Case:
    """One session that is about to end."""

    emulator: LiveAvatarEmulator
    listener: Recorder
    agent: AvatarAgent

    @property
    def session(self):
        return self.emulator.sessions[0]

    async def closed(self):
        await self.listener.wait_for("on_closed")


class Listener(Recorder):
    """Does in ``on_event`` what a test says."""

    async def on_event(self, event):
        await super().on_event(event)
        await self.agent.stop()


class Raising(Recorder):
    async def on_closed(self, code, reason):
        await super().on_closed(code, reason)
        raise ValueError("on purpose")


async def closes(case, code):
    await case.session.close(code, "words")
    await case.closed()


async def normal_close(case):
    await closes(case, 1000)


async def protocol_error(case):
    await closes(case, 1002)


async def policy_violation(case):
    await closes(case, 1008)


async def error_close(case):
    await no_way_back(case)
    await case.session.close(1011, "words")
    await case.closed()


async def cut(case):
    await no_way_back(case)
    case.session.cut()
    await case.closed()


async def no_way_back(case):
    """The platform has lost the session, and answers the next start with 403."""
    case.session.ended = True


async def silence(case):
    await no_way_back(case)
    case.emulator.faults.stop_reading_after = 1
    await case.agent.send_prompt("the last thing that it reads")
    await case.closed()


async def stop(case):
    await case.agent.stop()
    assert case.listener.named("on_closed") == [(1000, "")]  # before it returned


async def stop_from_a_callback(case):
    await case.session.send_event({"event": "my.event"})
    await case.closed()


async def session_closing(case):
    await case.session.send_event(MessageBuilder.session_closing("idle"))
    await case.closed()


async def failed_reconnect(case):
    case.emulator.fail_next_start(status=503, times=99)
    case.session.cut()
    await case.closed()


async def stop_with_a_dead_peer(case):
    case.emulator.faults.stop_reading_after = 1
    await case.agent.send_prompt("the last thing that it reads")
    sending = asyncio.create_task(flood(case.agent))
    assert not (await asyncio.wait([sending], timeout=0.2))[0]
    begun_s = time.monotonic()
    await case.agent.stop()
    assert time.monotonic() - begun_s < 3
    with pytest.raises((SessionLost, NotConnectedError)):
        await sending


async def flood(agent):
    while True:
        await agent.send_prompt("x" * 60_000)


async def listener_that_raises(case):
    await closes(case, 1000)


ENDINGS = {
    normal_close: 1000,
    protocol_error: 1002,
    policy_violation: 1008,
    error_close: {False: 1011, True: CODE_OF_A_CUT},  # its reconnect is given up
    cut: CODE_OF_A_CUT,
    silence: {False: CODE_OF_SILENCE, True: CODE_OF_A_CUT},
    stop: 1000,
    stop_from_a_callback: 1000,
    stop_with_a_dead_peer: 1000,
    session_closing: 1000,
    failed_reconnect: CODE_OF_A_CUT,
    listener_that_raises: 1000,
}
WORDS = {normal_close: "words", protocol_error: "words", policy_violation: "words",
         listener_that_raises: "words"}  # fmt: skip


def open_descriptors():
    return sorted(path.name for path in DESCRIPTORS.iterdir())


@contextlib.asynccontextmanager
async def nothing_left():
    """Count tasks, descriptors, timers and clients, before and after."""
    loop = asyncio.get_running_loop()
    gc.collect()
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    yield
    deadline_s = loop.time() + 3
    # The emulator closes its end of a socket a little later.
    while loop.time() < deadline_s and open_descriptors() != descriptors:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == tasks
    assert open_descriptors() == descriptors
    assert len(running_pacer()) == 0
    assert loop not in rest._clients
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]
    assert [timer for timer in timers if "avatarwire" in repr(timer)] == []


@pytest.mark.parametrize("reconnect", [False, True], ids=["once", "reconnect"])
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
async def test_each_ending_is_told_once(ending, reconnect):
    async with nothing_left():
        listener = {listener_that_raises: Raising, stop_from_a_callback: Listener}.get(
            ending, Recorder
        )()
        async with LiveAvatarEmulator(greeting=None) as emulator:
            config = config_for(
                emulator,
                reconnect=reconnect,
                reconnect_base_delay=0.01,
                reconnect_max_attempts=3,
                ping_interval=0.2 if ending is silence else 20,
                ping_timeout=0.2,
            )
            agent = listener.agent = AvatarAgent(config, listener)
            await agent.start()
            async with agent.audio_stream() as stream:
                await stream.write(bytes(4800))
                await asyncio.wait_for(ending(Case(emulator, listener, agent)), 8)
                told = listener.named("on_closed")
                assert not agent.is_running
            assert (await asyncio.wait_for(stream.wait_playout(), 1)).reason == "lost"
            await asyncio.wait_for(agent.stop(), 3)
            assert len(asyncio.all_tasks()) < 20
        code = ENDINGS[ending]
        assert [code for code, _ in told] == [code[reconnect] if isinstance(code, dict) else code]
        if ending in WORDS:
            assert told[0][1] == WORDS[ending]
        assert listener.named("on_closed") == told  # and nothing after it
    assert len(listener.named("on_session_init")) == 1


def test_there_are_twelve():
    assert len(ENDINGS) == 12


@pytest.mark.parametrize("reconnect", [False, True], ids=["once", "reconnect"])
async def test_a_start_that_is_cancelled_is_told_once(reconnect):
    async with nothing_left(), LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.withhold_init = True
        listener = Recorder()
        agent = AvatarAgent(config_for(emulator, reconnect=reconnect), listener)
        starting = asyncio.create_task(agent.start())
        async with asyncio.timeout(5):
            while not (emulator.sessions and emulator.sessions[0].is_connected):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert listener.named("on_closed") == [(1000, "")]
        assert emulator.sessions[0].stop_requests == 1


@pytest.mark.parametrize("reconnect", [False, True], ids=["once", "reconnect"])
async def test_a_start_that_is_refused_is_told_by_its_exception_alone(reconnect):
    async with nothing_left(), LiveAvatarEmulator(greeting=None) as emulator:
        emulator.fail_next_start(code=40005)
        listener = Recorder()
        agent = AvatarAgent(config_for(emulator, reconnect=reconnect), listener)
        with pytest.raises(SessionStartError):
            await agent.start()
        await agent.stop()
        assert listener.calls == []


@pytest.mark.parametrize("turns", range(8))
async def test_a_start_that_fails_as_its_caller_gives_up(turns):
    """Nobody is left to fetch its error, and asyncio would log that."""
    dialling, refused = asyncio.Event(), asyncio.Event()

    async def connect(url, **options):
        dialling.set()
        await refused.wait()
        raise ConnectFailedError("the server answered HTTP 503")

    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with LiveAvatarEmulator() as emulator:
        agent = AvatarAgent(config_for(emulator), Recorder(), connect=connect)
        starting = asyncio.create_task(agent.start())
        await dialling.wait()
        refused.set()
        # In one of these turns the start has failed, and who waits for it has not been told.
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises((asyncio.CancelledError, ConnectFailedError)):
            await starting
        await agent.stop()
    del agent, starting
    gc.collect()
    assert errors == []
