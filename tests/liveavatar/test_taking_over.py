"""A session goes on in another process: two agents share nothing but its id."""

import asyncio

import pytest
from agents import Recorder, config_for

from avatarwire import AvatarAgent, SessionLostError, SessionStartError


async def test_another_agent_goes_on_and_the_first_has_lost_it(emulator, agent, listener, session):
    first = agent.session_id
    other_listener = Recorder()
    other = AvatarAgent(config_for(emulator), other_listener)
    result = await other.start(session_id=first)
    assert result.resumed
    assert (result.session_id, other.session_id) == (first, first)
    assert [name for name, _ in other_listener.calls if name == "on_session_init"]
    await listener.wait_for("on_closed")
    assert listener.named("on_closed") == [(1008, "replaced by a newer connection")]
    assert emulator.sessions == [session]
    # Only the second start is one of a session's id, and its token is another.
    assert [body.get("sessionId") for body in session.start_requests] == [None, first]
    async with other.audio_stream(sample_rate=16000) as stream:
        await stream.write(bytes(640))
    assert (await stream.wait_playout()).reason == "completed"
    await other.stop()
    assert session.stop_requests == 1


async def test_a_new_session_is_not_resumed(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    assert not (await agent.start()).resumed
    await agent.stop()


async def test_a_reconnection_resumes(emulator):
    listener = Recorder()
    async with AvatarAgent(
        config_for(emulator, reconnect=True, reconnect_base_delay=0.01), listener
    ):
        emulator.sessions[0].cut()
        (result,) = await listener.wait_for("on_reconnected")
        assert result.resumed


async def test_a_session_that_is_over_is_lost(emulator, listener):
    async with AvatarAgent(config_for(emulator), Recorder()) as first:
        over = first.session_id
    agent = AvatarAgent(config_for(emulator), listener)
    with pytest.raises(SessionLostError, match=r"the session is over: .*start a new one"):
        await agent.start(session_id=over)
    assert not (await agent.start()).resumed
    await agent.stop()


async def test_the_one_time_url_of_the_old_owner_is_dead(emulator, agent, session):
    other = AvatarAgent(config_for(emulator), Recorder())
    spent = (await other.start(session_id=agent.session_id)).agent_ws_url
    third = AvatarAgent(config_for(emulator), Recorder())
    result = await third.start(session_id=session.session_id)
    assert result.agent_ws_url != spent
    assert not other.is_running
    assert third.is_running
    await third.stop()
    await other.stop()
    assert session.stop_requests == 2  # the second knew of no other owner


async def test_taking_over_that_fails_leaves_the_session_as_it_was(emulator, agent, session):
    emulator.faults.handshakes.append(503)
    other = AvatarAgent(config_for(emulator), Recorder())
    with pytest.raises(Exception, match="503"):
        await other.start(session_id=agent.session_id)
    assert session.stop_requests == 0
    assert agent.is_running
    assert (await other.start(session_id=agent.session_id)).resumed
    await other.stop()


@pytest.mark.parametrize("session_id", ["", " ", 5])
async def test_a_session_id_is_text(emulator, session_id):
    with pytest.raises(ValueError, match="session_id must be"):
        await AvatarAgent(config_for(emulator), Recorder()).start(session_id=session_id)


async def test_leaving_keeps_the_platforms_session(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    session_id = (await agent.start()).session_id
    await agent.leave()
    (session,) = emulator.sessions
    assert (session.stop_requests, await session.wait_closed(), session.ended) == (0, 1001, False)
    assert {"event": "session.stop"} not in session.events
    assert listener.named("on_closed") == [(1000, "")]
    assert agent.left_running is None
    other = AvatarAgent(config_for(emulator), Recorder())
    assert (await other.start(session_id=session_id)).resumed
    await other.stop()
    assert session.stop_requests == 1


class Permit:
    """Says whose the session is, once it is known."""

    def __init__(self):
        self.asked = 0
        self.is_ours = True
        self.known = asyncio.Event()
        self.known.set()

    async def __call__(self):
        self.asked += 1
        await self.known.wait()
        if not self.is_ours:
            raise SessionLostError(1000, "another host has the session")


async def test_nothing_is_connected_again_before_it_is_known_whose_it_is(emulator):
    listener, permit = Recorder(), Permit()
    config = config_for(emulator, reconnect=True, reconnect_base_delay=0.01)
    async with AvatarAgent(config, listener, permit=permit):
        (session,) = emulator.sessions
        assert permit.asked == 1
        permit.known.clear()
        session.cut()
        await listener.wait_for("on_reconnecting")
        async with asyncio.timeout(5):
            while permit.asked < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert len(session.start_requests) == 1
        permit.known.set()
        await listener.wait_for("on_reconnected")
        assert len(session.start_requests) == 2


async def test_a_session_of_another_is_neither_connected_again_nor_stopped(emulator):
    listener, permit = Recorder(), Permit()
    config = config_for(emulator, reconnect=True, reconnect_base_delay=0.01)
    agent = AvatarAgent(config, listener, permit=permit)
    await agent.start()
    (session,) = emulator.sessions
    permit.is_ours = False
    session.cut()
    code, reason = await listener.wait_for("on_closed")
    assert (code, reason) == (1000, "another host has the session")
    await agent.stop()
    assert (len(session.start_requests), session.stop_requests, session.ended) == (1, 0, False)
    assert agent.left_running == "another process has taken the session over"


async def test_a_stop_says_nothing_to_the_platform_of_a_session_of_another(emulator):
    permit = Permit()
    agent = AvatarAgent(config_for(emulator), Recorder(), permit=permit)
    await agent.start()
    (session,) = emulator.sessions
    permit.is_ours = False
    await agent.stop()
    assert {"event": "session.stop"} not in session.events
    assert session.stop_requests == 0


async def test_without_a_permit_nothing_is_started(emulator):
    permit = Permit()
    permit.is_ours = False
    with pytest.raises(SessionLostError, match="another host"):
        await AvatarAgent(config_for(emulator), Recorder(), permit=permit).start()
    assert emulator.sessions == []


async def test_what_the_platform_adds_is_kept_and_shown_by_no_repr(emulator, monkeypatch):
    from avatarwire.liveavatar import rest

    data = {
        "sessionId": "s",
        "sfuUrl": "wss://sfu",
        "userToken": "token-of-the-user",
        "joinUrl": "https://join/secret-of-the-room",
        "roomToken": "token-of-the-room",
    }
    result = rest._result(data)
    assert result.join_url == "https://join/secret-of-the-room"
    assert result.extra == {"roomToken": "token-of-the-room"}
    assert "secret-of" not in repr(result)
    assert "token-of" not in repr(result)
    assert rest._result({**data, "joinUrl": 7}) == "text for agentToken, agentWsUrl and joinUrl"


async def test_the_provider_of_the_room_is_asked_for(emulator, listener):
    async with AvatarAgent(config_for(emulator, rtc_provider="agora"), listener):
        assert emulator.sessions[0].start_requests[0]["rtcProvider"] == "agora"


@pytest.mark.parametrize(("value", "error"), [(" ", ValueError), (7, TypeError)])
def test_the_provider_of_the_room_is_text(emulator, value, error):
    with pytest.raises(error, match="rtc_provider must be text") as refused:
        config_for(emulator, rtc_provider=value)
    assert refused.value.setting == "rtc_provider"


async def test_errors_of_a_start_without_an_id_stay_what_they_are(emulator, listener):
    emulator.fail_next_start(code=40007, status=403)
    with pytest.raises(SessionStartError):
        await AvatarAgent(config_for(emulator), listener).start()
