"""The playground's page, its files and its WebSocket, over real sockets and without a browser."""

import asyncio
import itertools
import json
import math
import re
from array import array
from importlib import resources

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.audio import PcmFormat
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator, StartFault
from avatarwire.emulator.liveavatar.session import MOST_WAITING as MOST_FRAMES
from avatarwire.emulator.playground.agents import MOST_KEPT, Agents
from avatarwire.emulator.playground.playground import LIVE_PATH, MOST_VIEWERS
from avatarwire.emulator.playground.voice import HEADER, MOST_WAITING, Voice

TONE = array("h", (round(9000 * math.sin(n / 9)) for n in range(2400))).tobytes()
STATIC = resources.files("avatarwire.emulator.playground").joinpath("static")


class Page:
    """What a page of the playground is told, by type."""

    def __init__(self, socket):
        self.socket = socket
        self.told = []
        self.sound = []

    async def ask(self, type_, **fields):
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def until(self, is_it, what="a message"):
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.recv()
                if isinstance(message, bytes):
                    self.sound.append(message)
                    continue
                message = json.loads(message)
                self.told.append(message)
                if is_it(message):
                    return message

    async def type_(self, type_):
        return await self.until(lambda message: message["type"] == type_)

    async def text(self, name):
        found = await self.until(
            lambda message: message["type"] == "record" and message["record"].get("name") == name
        )
        return found["record"]["json"]


def live_url(url):
    return url.replace("http", "ws", 1).rstrip("/") + LIVE_PATH


@pytest.fixture
async def emulator():
    async with LiveAvatarEmulator(playground=True, greeting=None) as emulator:
        yield emulator


@pytest.fixture
async def page(emulator):
    async with connect(live_url(emulator.playground_url)) as socket:
        yield Page(socket)


@pytest.fixture
async def agent(emulator):
    config = AvatarAgentConfig("k", "a", base_url=emulator.base_url, reconnect=True)
    async with AvatarAgent(config, AgentListener()) as agent:
        await emulator.sessions[0].wait_for("session.ready")
        yield agent


async def watched(page, agent):
    await page.ask("watch", session=agent.session_id)
    await page.type_("history")
    await page.until(lambda message: message.get("record", {}).get("kind") == "snapshot")


@pytest.mark.parametrize("name", sorted(each.name for each in STATIC.iterdir()))
async def test_files_are_served_with_a_policy_that_lets_nothing_else_in(emulator, name):
    async with httpx.AsyncClient(base_url=emulator.playground_url) as client:
        answer = await client.get(f"/playground/{name}")
    assert answer.status_code == 200
    assert answer.content == STATIC.joinpath(name).read_bytes()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_is_at_the_root_and_asks_nobody_else(emulator):
    async with httpx.AsyncClient() as client:
        answer = await client.get(emulator.playground_url)
        missing = await client.get(emulator.playground_url + "playground/none.js")
        outside = await client.get(emulator.playground_url + "playground/..%2Fcontrols.py")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?:", answer.text)
    assert {missing.status_code, outside.status_code} == {404}


def test_no_script_makes_markup_of_words_or_code_of_text():
    for each in STATIC.iterdir():
        if each.name.endswith(".js"):
            text = each.read_text("utf-8")
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
            assert "http://" not in text
            assert "https://" not in text


async def test_without_it_there_is_no_page():
    async with LiveAvatarEmulator() as emulator, httpx.AsyncClient() as client:
        assert (await client.get(emulator.base_url + "/")).status_code == 404
        assert (await client.get(emulator.base_url + LIVE_PATH)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}],
)
async def test_pages_of_other_sites_neither_look_nor_listen(emulator, headers):
    async with httpx.AsyncClient() as client:
        assert (await client.get(emulator.playground_url, headers=headers)).status_code == 403
    if "Origin" in headers:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(live_url(emulator.playground_url), additional_headers=headers)


async def test_it_says_what_there_is(page, agent):
    hello = await page.type_("hello")
    assert hello["platform"] == "Live Avatar"
    assert hello["has_user"]
    names = [fault["name"] for fault in hello["faults"]]
    assert names == ["cut", "stall", "slow", "reject", "refuse", "clear"]
    listed = await page.until(lambda message: message.get("sessions"))
    assert listed["sessions"] == [
        {
            "id": agent.session_id,
            "is_connected": True,
            "state": "IDLE",
            "turns": 0,
            "is_over": False,
        }
    ]


async def test_what_is_typed_reaches_the_agent_and_its_words_the_page(page, agent, emulator):
    await watched(page, agent)
    await page.ask("type", text="  What time is it?")
    said = await page.text("input.text")
    assert said["data"] == {"text": "  What time is it?"}
    async with agent.response_stream(said["requestId"]) as answer:
        await answer.send_chunk("<b>Late</b>")
    assert (await page.text("response.chunk"))["data"]["text"] == "<b>Late</b>"


async def test_who_comes_later_is_told_what_was_said_without_keys(agent, emulator):
    await emulator.sessions[0].send_text("my key is sk-live-0123456789abcdef0123456789")
    async with connect(live_url(emulator.playground_url)) as socket:
        page = Page(socket)
        await page.ask("watch", session=agent.session_id)
        records = (await page.type_("history"))["records"]
    names = [record["name"] for record in records]
    assert names[:2] == ["session.init", "session.ready"]
    assert names[-2] == "input.text"
    assert "sk-live" not in json.dumps(records)


async def test_the_voice_comes_sample_by_sample_with_its_time(page, agent):
    await watched(page, agent)
    async with agent.audio_stream("r", sample_rate=24000) as stream:
        await stream.write(TONE * 4)
    await stream.wait_playout()
    await page.until(lambda message: message.get("record", {}).get("change") == "ended")
    heads = [HEADER.unpack_from(message) for message in page.sound]
    assert b"".join(message[HEADER.size :] for message in page.sound) == TONE * 4
    assert {rate for _, _, rate in heads} == {24000}
    steps = {round(after[0] - before[0], 6) for before, after in itertools.pairwise(heads)}
    assert steps == {0.04}
    assert all(at_s >= now_s - 0.001 for at_s, now_s, _ in heads)


async def test_what_an_agent_of_the_same_program_writes_is_told(emulator, page, agent):
    emulator.show_agent(agent)
    async with agent.audio_stream("r", response_id="turn-1", sample_rate=24000) as stream:
        await stream.write(TONE * 40)
        await stream.interrupt()
    playout = await stream.wait_playout()
    expected = {
        "type": "written",
        "session": agent.session_id,
        "turn": "turn-1",
        "written_ms": 4000,
        "dropped_ms": playout.dropped_ms,
    }
    assert await page.type_("written") == expected
    assert playout.dropped_ms > 0
    async with connect(live_url(emulator.playground_url)) as socket:  # also one that comes later
        assert await Page(socket).type_("written") == expected


def test_of_what_agents_wrote_only_the_latest_is_kept():
    agents = Agents()
    for number in range(MOST_KEPT + 10):
        agents.take("s", f"turn {number}", 1.0, 0.0)
    kept = agents.since(0)
    assert len(kept) == MOST_KEPT
    assert kept[-1].turn_id == f"turn {MOST_KEPT + 9}"
    assert agents.since(kept[-2].number) == [kept[-1]]


async def test_an_interrupt_silences_and_the_agent_is_told(page, agent):
    await watched(page, agent)
    async with agent.audio_stream("r", sample_rate=24000) as stream:
        await stream.write(TONE * 40)
        await page.until(lambda message: message.get("record", {}).get("change") == "started")
        await page.ask("interrupt")
        silence = await page.type_("silence")
    playout = await stream.wait_playout()
    assert playout.reason == "interrupted"
    assert playout.played_ms < 2000
    last_at_s, last_now_s, _ = HEADER.unpack_from(page.sound[-1])
    assert last_now_s - 0.1 <= silence["at_s"] <= last_at_s + 1
    await page.text("input.voice.finish")
    names = [m["record"]["name"] for m in page.told if "name" in m.get("record", {})]
    assert names[names.index("input.voice.start") :][-1] == "input.voice.finish"
    assert "control.interrupt" in names


async def test_the_microphone_is_the_users_voice_and_interrupts(page, agent, emulator):
    await watched(page, agent)
    await page.ask("microphone", on=True)
    loud = array("h", (round(9000 * math.sin(n / 5)) for n in range(640))).tobytes()
    heard = bytearray()

    async def listen():
        async for pcm in agent.user_audio(16000):
            heard.extend(pcm)
            if len(heard) >= 29 * 1280:
                return

    listening = asyncio.create_task(listen())
    for _ in range(4):
        await page.socket.send(loud)
    await page.text("input.voice.start")
    assert emulator.sessions[0].state == "LISTENING"
    for _ in range(25):
        await page.socket.send(bytes(1280))
    await page.text("input.voice.finish")
    assert emulator.sessions[0].state == "IDLE"
    await page.ask("microphone", on=False)
    await page.socket.send(loud)
    async with asyncio.timeout(5):
        await listening
    assert bytes(heard) == loud * 4 + bytes(25 * 1280)


async def test_a_voice_that_the_client_does_not_take_is_dropped_and_counted(
    page, agent, emulator, caplog
):
    caplog.set_level("INFO", "avatarwire.emulator")
    session = emulator.sessions[0]
    hear = session.open_microphone()
    for _ in range(MOST_FRAMES + 50):  # in one moment: nothing leaves meanwhile
        hear(bytes(1280))
    assert session.unsent_frames == 50
    assert sum("voice is dropped" in record.getMessage() for record in caplog.records) == 1
    async with asyncio.timeout(5):
        while agent.stats().audio_frames_received < MOST_FRAMES:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    hear(bytes(1280))
    assert session.unsent_frames == 50


async def test_a_cut_shows_and_the_session_comes_back(page, agent, emulator):
    await watched(page, agent)
    await page.ask("fault", name="cut")
    ended = await page.until(lambda message: message.get("record", {}).get("change") == "ended")
    assert ended["record"]["code"] == 1006
    await page.until(lambda message: message.get("record", {}).get("change") == "connected")
    assert emulator.sessions[0].is_connected


async def test_faults_come_and_go_at_a_click(page, agent, emulator):
    await watched(page, agent)
    for name in ("slow", "reject", "refuse"):
        await page.ask("fault", name=name)
    await page.until(lambda m: m.get("on") == ["slow", "reject", "refuse"])
    faults = emulator.faults
    assert (faults.bandwidth_bit_s, faults.latency_s) == (300_000, 0.15)
    assert list(faults.rejections) == ["SESSION_BUSY"]
    assert list(faults.starts) == [StartFault(code=40001)]
    await page.ask("fault", name="clear")
    await page.until(lambda m: m.get("on") == [])
    assert not (faults.is_slow)
    assert not (faults.rejections)
    assert not (faults.starts)


async def test_the_page_is_told_before_the_client_of_a_slow_link(page, agent, emulator):
    await watched(page, agent)
    arrived = []
    agent.tap(lambda *message: arrived.append(message))
    emulator.faults.latency_s = 1.0
    await page.ask("type", text="quick")
    await page.text("input.text")
    assert arrived == []


async def test_what_cannot_be_done_is_told(page, agent, emulator):
    await page.ask("type", text="to whom?")
    assert (await page.type_("error"))["message"] == "there is no session yet"
    await page.socket.send("{")
    assert (await page.type_("error"))["message"] == "the page asked for what there is not"
    await watched(page, agent)
    await agent.stop()
    await page.ask("type", text="anybody?")
    assert "is not connected" in (await page.type_("error"))["message"]


async def test_more_pages_than_can_be_told_are_refused(emulator):
    url = live_url(emulator.playground_url)
    sockets = [await connect(url) for _ in range(MOST_VIEWERS)]
    with pytest.raises(InvalidStatus, match="503"):
        await connect(url)
    await sockets.pop().close()
    async with connect(url) as socket:
        assert (await Page(socket).type_("hello"))["type"] == "hello"
    for each in sockets:
        await each.close()


async def test_pages_are_closed_when_the_platform_ends():
    async with LiveAvatarEmulator(playground=True) as emulator:
        socket = await connect(live_url(emulator.playground_url))
        await Page(socket).type_("hello")
    async with asyncio.timeout(5):
        await socket.wait_closed()
    assert socket.close_code == 1001


async def test_akool_shows_what_there_is_and_says_why_nobody_can_type():
    async with (
        AkoolEmulator(playground=True) as emulator,
        connect(live_url(emulator.playground_url)) as socket,
        connect(
            emulator.server_url.replace("http", "ws")
            + "/streamingAvatar/ws/v1?session_id=s&avatar_id=a"
        ) as client,
    ):
        page = Page(socket)
        hello = await page.type_("hello")
        assert not hello["has_user"]
        assert "Agora" in hello["why_not"]
        await page.until(lambda message: message.get("sessions"))
        await page.ask("watch", session="s")
        await page.type_("history")
        await page.ask("type", text="hello?")
        assert (await page.type_("error"))["message"] == hello["why_not"]
        await client.send('{"v":2,"type":"chat","mid":"m","pld":{"audio":"AAEAAQ=="}}')
        await page.until(lambda m: m.get("record", {}).get("kind") == "audio")
        assert [each[HEADER.size :] for each in page.sound] == [b"\0\1\0\1"]
        await page.ask("fault", name="refuse")
        await page.until(lambda m: m.get("on") == ["refuse"])
        assert list(emulator.faults.handshakes) == [503]


async def test_a_page_that_is_too_slow_misses_the_oldest_sound():
    voice = Voice()
    for index in range(MOST_WAITING + 3):
        voice.sound("t", bytes(4), PcmFormat(16000, 2), float(index), 0.0)
    assert voice.missed == 3
    first = await voice.next()
    assert HEADER.unpack_from(first) == (3.0, 0.0, 16000)
    assert first[HEADER.size :] == bytes(2)  # its first channel
