"""Callers that are odd: every platform's session ends, is stopped and is told all the same."""

import asyncio

import pytest

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.session import State

#: Where a hang begins.
LIMIT_S = 30


class OddListener(AgentListener):
    @property
    def on_closed(self):
        raise ValueError("on purpose")


class OddClient(StreamingAvatarClient):
    @property
    def on_disconnected(self):
        raise ValueError("on purpose")

    @on_disconnected.setter
    def on_disconnected(self, handler):
        assert handler is None


class Case:
    """A session of one platform, with what a test needs of it."""

    def __init__(self, platform, emulator):
        self.platform, self.emulator = platform, emulator

    def new(self, *, odd=False, reconnect=False):
        if self.platform == "liveavatar":
            config = AvatarAgentConfig(
                "key", "avatar", base_url=self.emulator.base_url, reconnect=reconnect,
                reconnect_base_delay=0.01, timeout=LIMIT_S,
            )  # fmt: skip
            return AvatarAgent(config, OddListener() if odd else AgentListener())
        return (OddClient if odd else StreamingAvatarClient)(
            "key", "avatar", self.emulator.discovery_url, message_timeout=1, reconnect=reconnect
        )

    @property
    def peer(self):
        return self.emulator.sessions[-1]


PLATFORMS = {
    "liveavatar": lambda: LiveAvatarEmulator(greeting=None),
    "akool": AkoolEmulator,
}


@pytest.fixture(params=PLATFORMS)
async def case(request):
    async with PLATFORMS[request.param]() as emulator:
        yield Case(request.param, emulator)


@pytest.mark.parametrize("reconnect", [False, True], ids=["once", "reconnect"])
@pytest.mark.parametrize("code", [1000, 1011])
async def test_a_property_that_raises_hangs_no_one(case, code, reconnect, caplog):
    session = case.new(odd=True, reconnect=reconnect)
    await session.start()
    waiting = asyncio.create_task(session.wait_closed())
    await case.peer.close(code)
    if reconnect and (code != 1000 or case.platform == "akool"):
        await until(lambda: session.stats().reconnects == 1)
        await asyncio.wait_for(session.stop(), LIMIT_S)
    await asyncio.wait_for(waiting, LIMIT_S)
    assert not session.is_running
    await asyncio.wait_for(session.stop(), LIMIT_S)
    assert "on purpose" in caplog.text
    await session.start()
    await session.stop()
    assert session.ending.code == 1000


async def test_stop_from_another_loop_says_so_and_the_session_stays_stoppable(case):
    session = case.new()
    await session.start()

    def elsewhere():
        return asyncio.run(session.stop())

    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"asyncio\.run_coroutine_threadsafe"):
            await asyncio.to_thread(elsewhere)
    assert session.is_running
    asyncio.run_coroutine_threadsafe(session.stop(), asyncio.get_running_loop())
    await asyncio.wait_for(session.wait_closed(), LIMIT_S)
    await session.stop()
    assert (session.is_running, session.ending.code) == (False, 1000)


@pytest.mark.parametrize("error", [RuntimeError, KeyError, RecursionError])
async def test_an_unexpected_exception_while_reconnecting_is_the_end(case, error, caplog):
    session = case.new(reconnect=True)
    await session.start()

    async def endpoints(*, again):
        raise error("on purpose")

    session._dialect.endpoints = endpoints
    case.peer.cut()
    await asyncio.wait_for(session.wait_closed(), LIMIT_S)
    assert (session.is_running, session.ending.code) == (False, 1006)
    assert session.ending.reason == f"an unexpected {error.__name__}"
    assert "on purpose" in caplog.text
    await session.stop()


async def test_a_part_that_raises_in_a_gap_does_not_keep_the_session_there(case, monkeypatch):
    session = case.new(reconnect=True)
    await session.start()

    def gap(lost):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(session._turns, "gap", gap)
    case.peer.cut()
    await until(lambda: session.stats().reconnects == 1)
    await session.stop()


async def test_a_part_that_raises_at_the_end_is_logged_and_the_others_are_told(
    case, monkeypatch, caplog
):
    session = case.new()
    await session.start()

    def ended(lost):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(session._turns, "ended", ended)
    await session.stop()
    assert session.ending.code == 1000
    assert "Turns failed at the end" in caplog.text


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("reconnect", [False, True], ids=["ended", "gap"])
def test_a_loop_that_is_gone_is_no_end_of_the_session_object(platform, reconnect):
    made = []

    async def begin():
        async with PLATFORMS[platform]() as emulator:
            session = Case(platform, emulator).new(reconnect=reconnect)
            await session.start()
            made.append(session)
            # Where the loop ends, whatever the HTTP library would have made of it.
            session._dialect.endpoints = never
        states = {State.GAP, State.ENDED}
        await until(lambda: session._engine.lifecycle.state in states)

    async def again(stops_first):
        async with PLATFORMS[platform]() as emulator:
            (session,) = made
            del session._dialect.endpoints
            if platform == "liveavatar":
                session._config.base_url = emulator.base_url
            else:
                session._config.discovery_url = emulator.discovery_url
            if stops_first:
                await session.stop()
                assert not session.is_running
            await asyncio.wait_for(session.start(), LIMIT_S)
            assert session.is_running
            await session.stop()

    for stops_first in (False, True):
        made.clear()
        asyncio.run(begin())
        asyncio.run(again(stops_first))


async def never(*, again):
    await asyncio.Event().wait()


async def until(holds):
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
