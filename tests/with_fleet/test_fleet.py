"""A fleet on an embedded Ray: starts, commands, deaths, drains."""

import asyncio
import contextlib
import json
import os
import signal
import time

import httpx
import pytest
from talking import handle

from avatarwire import fleet
from avatarwire.errors import SettingError
from avatarwire.fleet import deploying, running

PORT = 8127
URL = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def http(cluster):
    from ray import serve

    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(fleet.application(handle, hosts=2), name="fleet", route_prefix="/")
    with httpx.Client(base_url=URL, timeout=60) as client:
        yield client
    asyncio.run(running.shut_down(limit_s=5.0))


@pytest.fixture(autouse=True)
def no_session_stays(request):
    yield
    if "http" in request.fixturenames:
        request.getfixturevalue("http").post("/stop")


def until(condition, limit_s=20.0):
    deadline_s = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.05)
    return value


def begin(http, **data):
    answer = http.post("/sessions", json={"avatar_id": "avatar", "data": data})
    assert answer.status_code == 201, answer.text
    return answer.json()


def shown(http, session):
    return http.get(f"/sessions/{session['id']}").json()


def entry(ledger, session):
    (found,) = [each for each in ledger() if each["session_id"] == session["session_id"]]
    return found


def events_until(http, session, kind, token=""):
    headers = {"User-Token": token}
    got = []
    with http.stream("GET", f"/sessions/{session['id']}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                got.append(json.loads(line.removeprefix("data: ")))
                if got[-1]["event"] == kind:
                    return got
    return got


def assert_owned_once(entry):
    epochs = entry["epochs"]
    assert epochs == sorted(epochs)
    assert len({(e, o) for e, o in zip(epochs, entry["owners"], strict=True)}) == len(set(epochs))


def test_a_session_from_its_start_to_its_stop(http, ledger):
    session = begin(http)
    assert set(session) == {"id", "session_id", "user_token", "sfu_url", "host"}
    now = shown(http, session)
    assert now.pop("pid") > 0
    assert now == {
        "id": session["id"],
        "session_id": session["session_id"],
        "state": "running",
        "host": session["host"],
        "resumed": 0,
        "ending": None,
    }
    assert session["user_token"] not in http.get("/sessions").text
    until(lambda: entry(ledger, session)["heard_ms"] > 0)
    assert http.post(f"/sessions/{session['id']}/stop").status_code == 204
    until(lambda: shown(http, session)["state"] == "ended")
    assert shown(http, session)["ending"] == "stopped"
    assert entry(ledger, session)["stops"] == 1
    assert http.post(f"/sessions/{session['id']}/say", json={"text": "x"}).status_code == 404


def test_commands_reach_the_session(http, ledger):
    session = begin(http, do="listen")
    path = f"/sessions/{session['id']}"
    assert http.post(f"{path}/say", json={"text": "hello"}).status_code == 204
    assert http.post(f"{path}/interrupt").status_code == 204
    custom = {"event": "my.event", "data": {"a": 1}}
    assert http.post(f"{path}/custom", json=custom).status_code == 204
    until(lambda: entry(ledger, session)["customs"])
    events = entry(ledger, session)["events"]
    assert "response.chunk" in events
    assert "control.interrupt" in events
    assert entry(ledger, session)["customs"][0]["data"] == {"a": 1}
    reserved = {"event": "session.ready"}
    assert http.post(f"{path}/custom", json=reserved).status_code in {204, 502}


def test_a_program_has_a_voice_of_its_own(http, ledger):
    session = begin(http, do="voice")
    assert http.post(f"/sessions/{session['id']}/say", json={"text": "mine"}).status_code == 204
    until(lambda: entry(ledger, session)["customs"])
    assert entry(ledger, session)["customs"][0]["data"] == {"said": "mine"}


@pytest.mark.parametrize(
    ("what", "ending"), [("raise", "the program raised ValueError"), ("return", "completed")]
)
def test_a_program_that_ends_tells_how(http, ledger, what, ending):
    session = begin(http, do=what)
    until(lambda: shown(http, session)["state"] == "ended")
    assert shown(http, session)["ending"] == ending
    assert until(lambda: entry(ledger, session)["stops"]) == 1
    assert [e["event"] for e in events_until(http, session, "ended")] == ["started", "ended"]


def test_bad_requests_are_told(http):
    assert http.get("/sessions/none").status_code == 404
    assert http.post("/hosts/none/drain").status_code == 404
    assert http.post("/sessions", content=b"x" * 70_000).status_code in {413, 400, 422}
    assert http.post("/sessions", content=b"{").status_code == 422
    assert http.get("/healthz").json() == {"status": "ok"}
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/sessions", "/sessions/{session}/say", "/sessions/{session}/events"} <= set(paths)
    assert 'avatarwire_worker_sessions{host="' in http.get("/metrics").text


def test_a_gateway_that_other_machines_reach_wants_a_token(http, monkeypatch):
    assert deploying.listening_address() == "127.0.0.1"
    deploying.open_gateway("fleet", None)
    monkeypatch.setattr(deploying, "listening_address", lambda: "0.0.0.0")  # noqa: S104
    for token in (None, "short"):
        with pytest.raises(SettingError, match=r"can reach 0\.0\.0\.0: set AVATARWIRE_FLEET_TOKEN"):
            deploying.open_gateway("fleet", token)
    deploying.open_gateway("fleet", "a-token-of-16-characters")


async def test_the_same_from_python(http, ledger):
    session = await fleet.start("avatar", {"do": "listen"}, turns=True)
    assert session.user_token not in repr(session)
    await session.say("hello")
    await session.custom("my.event", {"b": 2})
    await session.stop()
    events = [event["event"] async for event in session.events()]
    assert events[0] == "started"
    assert events[-1] == "ended"
    assert (await session.status())["ending"] == "stopped"
    with pytest.raises(fleet.UnknownSessionError, match="has ended: stopped"):
        await session.say("too late")
    with pytest.raises(fleet.FleetError, match="cannot be written as JSON"):
        await fleet.start("avatar", {1, 2})


def test_sessions_of_a_dead_host_go_on_elsewhere(http, ledger):
    sessions = [begin(http) for _ in range(6)]
    victim = shown(http, sessions[0])
    moved = [each for each in sessions if each["host"] == victim["host"]]
    os.kill(victim["pid"], signal.SIGKILL)
    for session in moved:
        until(lambda session=session: shown(http, session)["resumed"] == 1)
        assert shown(http, session)["host"] != victim["host"]
        assert_owned_once(entry(ledger, session))
        assert entry(ledger, session)["stops"] == 0
        told = events_until(http, session, "resumed", session["user_token"])
        assert [e["event"] for e in told] == ["started", "lost", "resumed"]
        assert told[-1]["user_token"] != session["user_token"]
        assert "user_token" not in events_until(http, session, "resumed")[-1]
    until(lambda: len(http.get("/hosts").json()) == 2, 40)


def test_the_directory_may_die(http, ledger):
    sessions = [begin(http) for _ in range(3)]
    pid = int(http.get("/directory").json()["pid"])
    os.kill(pid, signal.SIGKILL)
    until(lambda: http.get("/healthz").status_code == 200, 30)
    time.sleep(7)
    for session in sessions:
        now = shown(http, session)
        assert (now["state"], now["resumed"]) == ("running", 0), now
        assert_owned_once(entry(ledger, session))
        assert entry(ledger, session)["is_connected"]
        assert http.post(f"/sessions/{session['id']}/stop").status_code == 204
    until(lambda: all(shown(http, each)["state"] == "ended" for each in sessions))


def test_a_frozen_host_loses_its_sessions_and_takes_none_back(http, ledger):
    sessions = [begin(http) for _ in range(4)]
    victim = shown(http, sessions[0])
    moved = [each for each in sessions if each["host"] == victim["host"]]
    os.kill(victim["pid"], signal.SIGSTOP)
    for session in moved:
        until(lambda session=session: shown(http, session)["resumed"] == 1)
    with contextlib.suppress(ProcessLookupError):  # it may have been replaced by now
        os.kill(victim["pid"], signal.SIGCONT)
    time.sleep(2)
    for session in moved:
        assert shown(http, session)["state"] == "running"
        assert_owned_once(entry(ledger, session))
        assert (entry(ledger, session)["stops"], entry(ledger, session)["ended"]) == (0, False)


def test_a_host_that_a_program_blocks_is_replaced(http, ledger):
    until(lambda: len(http.get("/hosts").json()) == 2, 40)
    others = [begin(http) for _ in range(4)]
    session = begin(http, do="block")
    moved = [session, *(each for each in others if each["host"] == session["host"])]
    for each in moved:
        until(lambda each=each: shown(http, each)["resumed"] == 1)
        assert shown(http, each)["host"] != session["host"]
        assert_owned_once(entry(ledger, each))
        assert entry(ledger, each)["stops"] == 0
    assert session["host"] not in [each["host"] for each in http.get("/hosts").json()]
    told = [e["reason"] for e in events_until(http, session, "resumed") if e["event"] == "lost"]
    assert told == ["its host was not heard of for 3 s"]


def test_hosts_cut_off_from_the_rest_go_on_and_begin_nothing(http, ledger, platform):
    sessions = [begin(http) for _ in range(2)]
    cut, other = sessions
    directory = int(http.get("/directory").json()["pid"])
    os.kill(directory, signal.SIGSTOP)
    try:
        heard_ms = entry(ledger, other)["heard_ms"]
        httpx.post(platform[1], params={"session_id": cut["session_id"]})
        until(lambda: not entry(ledger, cut)["is_connected"])
        time.sleep(6.5)  # longer than a lease, and than one question takes
        assert entry(ledger, other)["heard_ms"] > heard_ms + 1000
        assert len(entry(ledger, cut)["epochs"]) == 1
        assert not entry(ledger, cut)["is_connected"]
    finally:
        os.kill(directory, signal.SIGCONT)
    until(lambda: entry(ledger, cut)["is_connected"])
    assert len(entry(ledger, cut)["epochs"]) == 2
    for session in sessions:
        now = shown(http, session)
        assert (now["state"], now["resumed"], now["host"]) == ("running", 0, session["host"])
        assert_owned_once(entry(ledger, session))


def test_a_drained_host_hands_over_between_turns(http, ledger):
    until(lambda: len(http.get("/hosts").json()) == 2, 40)
    sessions = [begin(http) for _ in range(4)]
    host = shown(http, sessions[0])["host"]
    moved = [each for each in sessions if each["host"] == host]
    assert http.post(f"/hosts/{host}/drain").status_code == 204
    for session in moved:
        until(lambda session=session: shown(http, session)["resumed"] == 1, 30)
        assert shown(http, session)["host"] != host
        got = entry(ledger, session)
        assert_owned_once(got)
        before = got["events"][: got["events"].index("session.ready", 1)]
        assert before.count("response.audio.start") == before.count("response.audio.finish")
    until(lambda: host not in [each["host"] for each in http.get("/hosts").json()], 40)


def test_a_full_fleet_says_when_to_ask_again(http):
    until(lambda: len(http.get("/hosts").json()) == 2, 40)
    room = sum(each["max_sessions"] for each in http.get("/hosts").json())
    for _ in range(room):
        begin(http, do="listen")
    refused = http.post("/sessions", json={"avatar_id": "avatar"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "places" in refused.json()["detail"]
