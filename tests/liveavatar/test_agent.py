"""The agent's life: start, callbacks, and one ending."""

import asyncio
import gc
import logging
import sys
import threading

import pytest
from agents import KEY, Recorder, config_for

from avatarwire import (
    AgentListener,
    AudioFrame,
    AvatarAgent,
    AvatarAgentConfig,
    ConnectFailedError,
    ErrorCode,
    HandshakeTimeoutError,
    MessageBuilder,
    NotConnectedError,
    SessionLost,
    SessionStartError,
    SessionState,
)
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.rest import SessionApi
from avatarwire.session import stopping, tasks
from avatarwire.transport import rest as transport_rest


@pytest.fixture(autouse=True)
async def nothing_is_left_behind():
    """No task and no HTTP client outlives the session."""
    yield
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("avatarwire")]
    assert left == []
    assert not transport_rest._clients.get(asyncio.get_running_loop())


def kept():
    """Return what is held of this loop; a loop that was closed by hand leaves its own behind."""
    loop = asyncio.get_running_loop()
    return [task for task in tasks._kept if task.get_loop() is loop]


async def connected(emulator):
    """Wait until the first session's WebSocket is open."""
    async with asyncio.timeout(5):
        while not (emulator.sessions and emulator.sessions[0].is_connected):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_start_and_stop(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    assert (agent.session_id, agent.is_running) == (None, False)
    result = await agent.start()
    session = emulator.sessions[0]
    assert result.session_id == agent.session_id == session.session_id
    assert result.user_token
    assert result.sfu_url
    assert agent.is_running
    assert listener.named("on_session_init") == [
        (session.session_id, f"user-{session.session_id[:8]}")
    ]
    assert session.events == [{"event": "session.ready"}]

    await agent.stop()
    assert listener.named("on_closed") == [(1000, "")]
    assert (agent.session_id, agent.is_running) == (None, False)
    assert session.events[-1] == {"event": "session.stop"}
    assert session.stop_requests == 1
    assert await session.wait_closed() == 1000

    await agent.stop()
    assert listener.named("on_closed") == [(1000, "")]
    with pytest.raises(NotConnectedError):
        await agent.send_interrupt()


async def test_start_again_after_stop(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    for _ in range(2):
        async with agent:
            with pytest.raises(RuntimeError, match=r"Already started — call stop\(\) first"):
                await agent.start()
    assert len({session.session_id for session in emulator.sessions}) == 2
    assert len(listener.named("on_closed")) == 2


async def test_every_callback_gets_what_the_platform_sent(agent, session, listener):
    await session.send_event(MessageBuilder.session_state("DANCING", 1, 2))
    await session.send_text("hello", "r-1")
    await session.send_event(MessageBuilder.system_idle_trigger("quiet", 30000))
    await session.send_event(MessageBuilder.error("E1", "words"))
    frame = AudioFrame(seq=5, samples=1, payload=b"ab")
    await session.send_binary(frame.pack())
    custom = {"event": "shop.offer", "data": {"price": 3}}
    await session.send_event(custom)

    assert await listener.wait_for("on_text_input") == ("hello", "r-1")
    assert await listener.wait_for("on_idle_trigger") == ("quiet", 30000)
    assert await listener.wait_for("on_error") == ("E1", "words")
    assert await listener.wait_for("on_audio_frame") == (frame,)
    while (custom,) not in listener.named("on_event"):
        await listener.wait_for("on_event", len(listener.named("on_event")) + 1)
    assert "DANCING" in [state.value for (state,) in listener.named("on_session_state")]


async def test_states_follow_a_turn(agent, session, listener):
    await agent.send_response_audio_start("r", "p")
    await agent.send_audio(bytes(4800))
    await agent.send_response_audio_finish("r", "p")
    async with asyncio.timeout(5):
        while [state for (state,) in listener.named("on_session_state")][-2:] != [
            SessionState.SPEAKING,
            SessionState.IDLE,
        ]:
            await listener.wait_for("on_session_state", len(listener.named("on_session_state")) + 1)


async def test_callback_that_never_returns_stops_nothing(emulator):
    class Stuck(Recorder):
        async def on_text_input(self, text, request_id):
            self.note("on_text_input", text, request_id)
            await asyncio.Event().wait()

    listener = Stuck()
    async with AvatarAgent(config_for(emulator), listener):
        (session,) = emulator.sessions
        for text in "abc":
            await session.send_text(text)
        await session.send_event(MessageBuilder.error("E", "later"))
        assert await listener.wait_for("on_error") == ("E", "later")
        assert [text for text, _ in listener.named("on_text_input")] == ["a", "b", "c"]
    assert listener.named("on_closed") == [(1000, "")]


async def test_callback_may_answer_and_stop(emulator):
    class Answering(Recorder):
        async def on_session_init(self, session_id, user_id):
            await self.agent.send_prompt("welcome")

        async def on_text_input(self, text, request_id):
            await self.agent.send_response_chunk(request_id, "p", 0, 0, text)
            await self.agent.stop()
            self.note("stopped")

    listener = Answering()
    agent = listener.agent = AvatarAgent(config_for(emulator), listener)
    await agent.start()
    (session,) = emulator.sessions
    assert (await session.wait_for("system.prompt"))["data"] == {"text": "welcome"}
    await session.send_text("bye", "r")
    await agent.wait_closed()
    assert (await session.wait_for("response.chunk"))["data"] == {"text": "bye"}
    await listener.wait_for("stopped")
    assert listener.named("on_closed") == [(1000, "")]
    assert agent.session_id is None


async def test_on_closed_may_stop_too(emulator):
    class Stopping(Recorder):
        async def on_closed(self, code, reason):
            await self.agent.stop()
            self.note("on_closed", code, reason)

    for ours in (True, False):
        listener = Stopping()
        agent = listener.agent = AvatarAgent(config_for(emulator), listener)
        await agent.start()
        if ours:
            async with asyncio.timeout(1):
                await agent.stop()
        else:
            await emulator.sessions[-1].close(4000, "enough")
        await listener.wait_for("on_closed")
        assert listener.named("on_closed") == [(1000, "") if ours else (4000, "enough")]
        assert agent.session_id is None


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [
        (lambda session: session.close(1000, "done"), 1000, "done"),
        (lambda session: session.close(1008, "policy"), 1008, "policy"),
        (lambda session: session.close(4321), 4321, ""),
        (lambda session: asyncio.sleep(0, session.cut()), 1006, ""),
    ],
)
async def test_ending_is_told_once_with_the_peers_code(emulator, listener, end, code, reason):
    agent = AvatarAgent(config_for(emulator), listener)
    await agent.start()
    waiter = asyncio.create_task(agent.wait_closed())
    await end(emulator.sessions[0])
    await listener.wait_for("on_closed")
    await waiter
    assert not agent.is_running
    with pytest.raises(SessionLost) as lost:
        await agent.send_interrupt()
    assert isinstance(lost.value, ConnectionError)
    assert lost.value.code == code
    await agent.stop()
    assert listener.named("on_closed") == [(code, reason)]


async def test_the_longest_message_is_a_setting(emulator, listener):
    async with AvatarAgent(config_for(emulator, max_message_bytes=2000), listener) as agent:
        session = emulator.sessions[0]
        await session.send_text("a" * 1900, "r-1")
        await session.send_text("a" * 2000, "r-2")
        await agent.wait_closed()
        assert await session.wait_closed() == 1009
    assert listener.named("on_text_input") == [("a" * 1900, "r-1")]
    assert listener.named("on_closed")[0][0] == 1009


async def test_session_closing_ends_sending_and_we_close(agent, session, listener):
    await session.send_event(MessageBuilder.session_closing("idle too long"))
    assert await listener.wait_for("on_session_closing") == ("idle too long",)
    with pytest.raises(SessionLost, match="closing"):
        await agent.send_interrupt()
    await agent.wait_closed()
    assert await session.wait_closed() == 1000
    assert listener.named("on_closed") == [(1000, "")]
    assert {"event": "session.stop"} not in session.events


async def test_wait_closed_without_a_session_returns():
    await AvatarAgent(AvatarAgentConfig("sk-1", "a-1"), object()).wait_closed()


async def test_nonsense_from_the_platform_is_counted_not_fatal(agent, session, listener):
    for _ in range(3):
        await session.send_raw_text("{")
    await session.send_raw_text('{"event": "input.text"}')
    await session.send_binary(b"\xff" * 20)
    await session.send_binary(b"\x40\x00")
    await session.send_text("still here", "r")
    assert await listener.wait_for("on_text_input") == ("still here", "r")
    assert sum(agent.ignored_messages.values()) == 6
    assert agent.ignored_messages["text that is not a JSON event"] == 3
    assert agent.dropped_audio_frames == 0


# Starts that fail


@pytest.mark.parametrize(
    ("fault", "error_code", "code"),
    [
        ({"code": 40005}, ErrorCode.CONCURRENCY_LIMIT_EXCEEDED, 40005),
        ({"code": 40003, "status": 500}, ErrorCode.SESSION_START_FAILED, 40003),
        ({"html": True, "status": 502}, ErrorCode.SESSION_START_FAILED, 502),
    ],
)
async def test_refused_start_leaves_the_agent_ready_for_another(
    emulator, listener, fault, error_code, code
):
    emulator.fail_next_start(**fault)
    agent = AvatarAgent(config_for(emulator, start_retries=0), listener)
    with pytest.raises(SessionStartError) as refused:
        await agent.start()
    assert (refused.value.error_code, refused.value.code) == (error_code, code)
    assert not agent.is_running
    async with agent:
        assert agent.is_running


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("", RuntimeError, "agentWsUrl not present in /session/start response"),
        ("http://127.0.0.1/x?token=hush", ConnectFailedError, "not a ws:// or wss:// URL"),
        ("hush", ConnectFailedError, "not a ws:// or wss:// URL"),
        ("ws://[hush", ConnectFailedError, "not a ws:// or wss:// URL"),
        ("ws://127.0.0.1:99999/x?token=hush", ConnectFailedError, "agentWsUrl is unusable"),
        ("ws://127.0.0.1/x?token=hush#y", ConnectFailedError, "agentWsUrl is unusable"),
        ("ws://127.0.0.1:1/x?token=hush", ConnectFailedError, "could not connect to 127.0.0.1:1"),
    ],
)
async def test_unusable_url_is_named_and_the_session_stopped(emulator, listener, url, error, words):
    emulator.fail_next_start(agent_ws_url=url)
    with pytest.raises(error, match=words) as caught:
        await AvatarAgent(config_for(emulator), listener).start()
    assert "hush" not in str(caught.value)
    assert emulator.sessions[0].stop_requests == 1
    assert listener.calls == []


async def test_no_session_init_in_time(emulator, listener):
    emulator.faults.withhold_init = True
    with pytest.raises(HandshakeTimeoutError, match=r"waiting for session\.init after 0\.1s"):
        await AvatarAgent(config_for(emulator, timeout=0.1), listener).start()
    assert emulator.sessions[0].stop_requests == 1
    assert len(listener.named("on_closed")) == 1


async def test_connection_that_ends_during_the_handshake(emulator, listener):
    emulator.faults.withhold_init = True
    start = asyncio.create_task(AvatarAgent(config_for(emulator), listener).start())
    await connected(emulator)
    await emulator.sessions[0].close(1013, "later")
    with pytest.raises(SessionLost, match="1013: later"):
        await start
    assert listener.named("on_closed") == [(1013, "later")]
    assert emulator.sessions[0].stop_requests == 1


async def test_cancelled_start_stops_the_platforms_session(emulator, listener):
    emulator.faults.withhold_init = True
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    await connected(emulator)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert emulator.sessions[0].stop_requests == 1
    assert not agent.is_running


async def test_stop_while_the_network_libraries_are_loaded(emulator, listener, monkeypatch):
    loads, loaded = asyncio.Event(), asyncio.Event()

    async def load():
        loads.set()
        await loaded.wait()

    monkeypatch.setattr(transport_rest, "load", load)
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    await loads.wait()
    stop = asyncio.create_task(agent.stop())
    for _ in range(10):  # until it has come to what it tells the platform
        await asyncio.sleep(0)
    loaded.set()
    await stop
    with pytest.raises(SessionLost, match=r"stop\(\) was called during start\(\)"):
        await start
    while of_this_loop := kept():
        await asyncio.wait(of_this_loop)
    # Either it was never started, or it was stopped again.
    assert [session.stop_requests for session in emulator.sessions] in ([], [1])


async def test_stop_during_start(emulator, listener):
    emulator.faults.withhold_init = True
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    await connected(emulator)
    await agent.stop()
    with pytest.raises(SessionLost, match=r"stop\(\) was called during start\(\)"):
        await start
    assert emulator.sessions[0].stop_requests == 1


async def test_start_waits_for_on_session_init_but_not_for_ever(emulator):
    class Slow(Recorder):
        async def on_session_init(self, session_id, user_id):
            await asyncio.Event().wait()

    async with AvatarAgent(config_for(emulator, timeout=0.1), Slow()) as agent:
        assert agent.is_running


async def test_stop_returns_when_on_closed_hangs(emulator, caplog):
    class Hanging(AgentListener):
        async def on_closed(self, code, reason):
            await asyncio.Event().wait()

    agent = AvatarAgent(config_for(emulator, timeout=0.5), Hanging())
    await agent.start()
    async with asyncio.timeout(3):
        await agent.stop()
    assert "on_closed took over 0.5 s: cancelled" in caplog.text


async def test_on_closed_has_time_to_save_something(emulator):
    class Saving(Recorder):
        async def on_closed(self, code, reason):
            await asyncio.sleep(0.8)
            self.note("saved", code)

    listener = Saving()
    async with AvatarAgent(config_for(emulator), listener) as agent:
        await emulator.sessions[0].close(1011)
        await agent.wait_closed()
    assert listener.named("saved") == [(1011,)]


async def test_everything_sent_before_stop_arrives(emulator, listener):
    pcm = bytes(range(256)) * (30 * 48000 // 256)
    async with AvatarAgent(config_for(emulator), listener) as agent:
        await agent.send_response_audio_start("r", "p")
        await agent.send_audio(pcm)
        await agent.send_response_audio_finish("r", "p")
    (session,) = emulator.sessions
    assert await session.wait_closed() == 1000
    assert session.pcm == pcm
    assert [event["event"] for event in session.events][-2:] == [
        "response.audio.finish",
        "session.stop",
    ]


async def test_cancel_in_the_tick_in_which_start_succeeds(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    await asyncio.sleep(0)  # the first step of start() has run
    (connecting,) = (task for task in kept() if task.get_name() == "avatarwire connect")
    connecting.add_done_callback(lambda _: start.cancel())
    with pytest.raises(asyncio.CancelledError):
        await start
    assert emulator.sessions[0].stop_requests == 1
    assert listener.named("on_closed") == [(1000, "")]


@pytest.fixture
def slow_platform(monkeypatch):
    """The platform's REST start answers only when told to."""
    gate = asyncio.Event()
    original = SessionApi.start

    async def start(self, session_id=None, **options):
        result = await original(self, session_id, **options)
        await gate.wait()
        return result

    monkeypatch.setattr(SessionApi, "start", start)
    return gate


async def test_start_that_is_abandoned_while_the_platform_works_is_stopped(
    emulator, listener, slow_platform
):
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    async with asyncio.timeout(5):
        while not emulator.sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    start.cancel()
    await asyncio.sleep(0)
    slow_platform.set()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert emulator.sessions[0].stop_requests == 1
    assert listener.calls == [("on_closed", (1000, ""))]


async def test_a_start_that_is_abandoned_while_it_waits_for_its_turn_is_never_sent(
    emulator, listener
):
    agent = AvatarAgent(config_for(emulator), listener)
    async with transport_rest.shared_client() as client:
        for _ in range(transport_rest.MAX_CALLS):
            await client.turns.acquire()
        start = asyncio.create_task(agent.start())
        for _ in range(20):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await agent.stop()  # nobody else's call has to end for that
        with pytest.raises(SessionLost):
            await start
        for _ in range(transport_rest.MAX_CALLS):
            client.turns.release()
    assert emulator.sessions == []
    assert listener.calls == [("on_closed", (1000, ""))]


async def test_stop_does_not_wait_for_a_platform_that_takes_its_time(
    emulator, listener, slow_platform, monkeypatch
):
    monkeypatch.setattr(stopping, "STOP_LIMIT_S", 0.05)
    monkeypatch.setattr(stopping, "MIN_RELEASE_S", 0.05)
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    async with asyncio.timeout(5):
        while not emulator.sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await agent.stop()
    with pytest.raises(SessionLost):
        await start
    assert emulator.sessions[0].stop_requests == 0
    slow_platform.set()  # and once it answers, its session is stopped after all
    while of_this_loop := kept():
        await asyncio.wait(of_this_loop)
    assert emulator.sessions[0].stop_requests == 1


async def test_failed_start_ends_those_who_wait_for_the_end(emulator, listener):
    emulator.fail_next_start(status=500)
    agent = AvatarAgent(config_for(emulator), listener)
    start = asyncio.create_task(agent.start())
    await asyncio.sleep(0)
    waiter = asyncio.create_task(agent.wait_closed())
    with pytest.raises(SessionStartError):
        await start
    async with asyncio.timeout(1):
        await waiter


async def test_failed_start_leaves_no_callback_running(emulator):
    class Stuck(Recorder):
        async def on_session_init(self, session_id, user_id):
            await asyncio.Event().wait()

    agent = AvatarAgent(config_for(emulator), Stuck())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(agent.start(), 0.2)


async def test_session_that_ends_while_on_session_init_runs_is_no_success(emulator):
    class Slow(Recorder):
        async def on_session_init(self, session_id, user_id):
            await emulator.sessions[0].close(1011, "sorry")
            await asyncio.Event().wait()

    with pytest.raises(SessionLost, match="1011: sorry"):
        await AvatarAgent(config_for(emulator), Slow()).start()


async def test_stop_from_a_child_task_of_a_callback_spares_the_callback(emulator):
    class Stopping(Recorder):
        async def on_text_input(self, text, request_id):
            await asyncio.gather(self.agent.stop())
            self.note("survived")

    listener = Stopping()
    agent = listener.agent = AvatarAgent(config_for(emulator), listener)
    await agent.start()
    await emulator.sessions[0].send_text("bye")
    await listener.wait_for("survived")


async def test_unusable_proxy_is_one_clear_error(emulator, listener, monkeypatch):
    monkeypatch.delenv("all_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", "nonsense://user:hush@127.0.0.1:1080")
    config = AvatarAgentConfig("key", "avatar-1", base_url="http://avatar.invalid")
    with pytest.raises(SessionStartError, match="ALL_PROXY is not a proxy") as caught:
        await AvatarAgent(config, listener).start()
    assert caught.value.setting == "ALL_PROXY"
    assert "hush" not in str(caught.value)
    # No proxy is a way to this machine, whatever it is.
    async with AvatarAgent(config_for(emulator), listener):
        pass


async def test_concurrent_stops_share_one_ending(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    await agent.start()
    await asyncio.gather(*(agent.stop() for _ in range(5)))
    assert listener.named("on_closed") == [(1000, "")]
    assert emulator.sessions[0].stop_requests == 1


# Around the session


async def test_call_threadsafe(agent, session):
    def work():
        agent.call_threadsafe(agent.send_asr_final("r", "from a thread")).result(5)

    thread = threading.Thread(target=work)
    thread.start()
    assert (await session.wait_for("input.asr.final"))["data"] == {"text": "from a thread"}
    await asyncio.to_thread(thread.join)


async def test_call_threadsafe_before_start():
    agent = AvatarAgent(AvatarAgentConfig("sk-1", "a-1"), object())
    with pytest.raises(NotConnectedError):
        agent.call_threadsafe(agent.send_interrupt())


def test_configuration_must_be_one():
    with pytest.raises(TypeError, match="config must be AvatarAgentConfig, not dict"):
        AvatarAgent({}, object())


async def test_configuration_is_checked_again_at_start():
    config = AvatarAgentConfig("sk-1", "a-1")
    config.api_key = ""
    with pytest.raises(ValueError, match="api_key is empty"):
        await AvatarAgent(config, object()).start()


async def test_no_key_and_no_token_in_any_log_or_repr(caplog, listener):
    caplog.set_level(logging.DEBUG)
    async with LiveAvatarEmulator(greeting="private words") as emulator:
        agent = AvatarAgent(config_for(emulator), listener)
        result = await agent.start()
        token = result.agent_ws_url.split("token=")[1]
        await listener.wait_for("on_text_input")
        await agent.send_prompt("private words")
        reprs = f"{agent!r} {result!r} {agent._config!r}"
        await agent.stop()
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert "started" in logged
    for secret in (KEY, token, result.user_token, "private words"):
        assert secret not in logged + reprs


async def test_hundred_sessions_share_one_http_client_and_leave_no_garbage(emulator, monkeypatch):
    # However busy the machine is.
    monkeypatch.setattr("avatarwire.liveavatar.rest.STOP_TIMEOUT_S", 300.0)
    monkeypatch.setattr("avatarwire.session.stopping.STOP_LIMIT_S", 300.0)
    config = config_for(emulator, timeout=300)
    agents = [AvatarAgent(config, AgentListener()) for _ in range(100)]
    await asyncio.gather(*(agent.start() for agent in agents))
    assert [len(entries) for entries in transport_rest._clients.values()] == [1]
    await asyncio.gather(*(agent.stop() for agent in agents))
    gc.collect()
    assert (
        not asyncio.all_tasks()
        - {asyncio.current_task()}
        - {task for task in asyncio.all_tasks() if "avatarwire" not in repr(task.get_coro())}
    )
    assert sys.getrefcount(agents[0]) <= 3


def test_a_thread_that_outlives_the_event_loop_is_told_so(recwarn):
    async def session():
        async with LiveAvatarEmulator(greeting=None) as emulator:
            agent = AvatarAgent(config_for(emulator), Recorder())
            async with agent:
                pass
            await agent.start()  # and its loop ends without a stop
            return agent

    agent = asyncio.run(session())
    with pytest.raises(NotConnectedError):
        agent.call_threadsafe(agent.send_asr_final("request", "late words"))
    gc.collect()
    assert [str(w.message) for w in recwarn if "never awaited" in str(w.message)] == []


@pytest.mark.parametrize("reconnect", [True, False])
def test_a_program_that_ends_without_a_stop_is_told_so_and_ends_quietly(reconnect, caplog, recwarn):
    class Slow(Recorder):
        async def on_closed(self, code, reason):
            await asyncio.sleep(0.01)
            await super().on_closed(code, reason)

    listener = Slow()
    emulator = LiveAvatarEmulator(greeting=None)

    async def serve(ready):
        async with emulator:
            ready.set()
            await asyncio.Event().wait()

    async def main():
        ready = asyncio.Event()
        serving = asyncio.create_task(serve(ready))
        await ready.wait()
        agent = AvatarAgent(config_for(emulator, reconnect=reconnect), listener)
        await agent.start()
        stream = await agent.audio_stream().__aenter__()
        await stream.write(bytes(9600))
        return serving, agent  # the loop cancels what runs, and ends

    _, agent = asyncio.run(main())
    assert not agent.is_running
    gc.collect()
    assert listener.named("on_closed") == [(1006, "the event loop ended before stop() was called")]
    assert listener.named("on_reconnecting") == []
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert not recwarn.list


def test_a_loop_that_ends_while_a_connection_is_restored(listener):
    async def main():
        async with LiveAvatarEmulator(greeting=None) as emulator:
            config = config_for(emulator, reconnect=True, reconnect_base_delay=5.0)
            agent = AvatarAgent(config, listener)
            await agent.start()
            emulator.fail_next_start(status=503, times=50)
            emulator.sessions[0].cut()
            while not listener.named("on_reconnecting"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    asyncio.run(main())
    assert listener.named("on_closed") == [(1006, "the event loop ended before stop() was called")]


def test_a_loop_that_is_gone_is_forgotten_by_stop_and_replaced_by_start():
    made = []

    async def begin():
        async with LiveAvatarEmulator(greeting=None) as emulator:
            agent = AvatarAgent(config_for(emulator), Recorder())
            await agent.start()
            made.append(agent)

    async def again():
        async with LiveAvatarEmulator(greeting=None) as emulator:
            (agent,) = made
            agent._config.base_url = emulator.base_url
            await agent.stop()
            await agent.start()
            assert agent.is_running
            await agent.stop()

    asyncio.run(begin())
    asyncio.run(again())


async def test_stop_from_another_loop_says_where_it_belongs(agent):
    def elsewhere():
        return asyncio.run(agent.stop())

    with pytest.raises(RuntimeError, match="call_threadsafe"):
        await asyncio.to_thread(elsewhere)
    assert agent.is_running
    agent.call_threadsafe(agent.stop())
    async with asyncio.timeout(5):
        await agent.wait_closed()


async def test_another_listener_is_called_until_it_is_taken_away(agent, session, listener):
    other = Recorder()
    stop_listening = agent.add_listener(other)
    await session.send_text("Hello", "r1")
    await other.wait_for("on_text_input")
    assert await listener.wait_for("on_text_input") == ("Hello", "r1")
    stop_listening()
    stop_listening()
    await session.send_text("Hello again", "r2")
    await listener.wait_for("on_text_input", 2)
    assert other.named("on_text_input") == [("Hello", "r1")]


async def test_another_listener_outlives_a_session(agent, emulator):
    other = Recorder()
    agent.add_listener(other)
    await agent.stop()
    assert other.named("on_closed") == [(1000, "")]
    await agent.start()
    await emulator.sessions[-1].send_text("Hello", "r1")
    assert await other.wait_for("on_text_input") == ("Hello", "r1")
