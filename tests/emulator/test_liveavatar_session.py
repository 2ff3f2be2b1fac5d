import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame, ImageFrame, PcmFramer
from avatarwire.emulator import LiveAvatarEmulator, LiveSession
from avatarwire.liveavatar.messages import MessageBuilder as Build
from avatarwire.liveavatar.messages import encode

PCM = bytes(range(256)) * 30  # 160 ms at 24 kHz


@dataclass
class Pair:
    session: LiveSession
    client: ClientConnection

    async def tell(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.client.send(encode(event), text=True)

    async def hear(self, name: str) -> dict[str, Any]:
        while True:
            message = await asyncio.wait_for(self.client.recv(), 5)
            if isinstance(message, str) and (event := json.loads(message))["event"] == name:
                return dict(event)

    async def states(self, count: int) -> list[str]:
        return [(await self.hear("session.state"))["data"]["state"] for _ in range(count)]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        async with httpx.AsyncClient() as http:
            url = f"{emulator.base_url}/v1/session/start"
            answer = await http.post(url, json={"avatarId": "a"})
        async with connect(answer.json()["data"]["agentWsUrl"], proxy=None) as client:
            pair = Pair(emulator.sessions[0], client)
            await pair.hear("session.init")
            await pair.tell(Build.session_ready())
            assert await pair.states(1) == ["IDLE"]
            yield pair


async def test_an_audio_turn_plays_for_as_long_as_it_sounds(pair: Pair) -> None:
    framer = PcmFramer(sample_rate=24000)
    await pair.tell(Build.response_audio_start("q", "r"))
    begun = time.monotonic()
    for frame in framer.frames(PCM) + framer.flush():
        await pair.client.send(frame)
    await pair.tell(Build.response_audio_finish("q", "r"))
    assert await pair.states(3) == ["STAGING", "SPEAKING", "IDLE"]
    assert time.monotonic() - begun >= PcmFormat(24000).ms(len(PCM)) / 1000
    (turn,) = pair.session.turns
    assert turn.pcm == pair.session.pcm == PCM
    assert pair.session.audio_runs == [(PcmFormat(24000), PCM)]
    assert turn.outcome == "finished"


async def test_a_conversation_in_states(pair: Pair) -> None:
    request_id = await pair.session.send_text("hi")
    assert (await pair.hear("input.text"))["requestId"] == request_id
    await pair.tell(Build.response_start(request_id, "r"))
    await pair.tell(Build.response_chunk(request_id, "r", 0, 0, "Hello"))
    await pair.tell(Build.response_done(request_id, "r"))
    assert await pair.states(4) == ["THINKING", "STAGING", "SPEAKING", "IDLE"]
    await pair.tell(Build.input_voice_start("q"), Build.input_asr_final("q", "more"))
    assert await pair.states(2) == ["LISTENING", "THINKING"]
    assert pair.session.state == "THINKING"


async def test_what_is_sent_arrives_as_it_is(pair: Pair) -> None:
    await pair.session.send_event({"event": "custom", "data": {"a": 1}})
    await pair.session.send_raw_text("{not json")
    await pair.session.send_binary(b"\0\1")
    assert await pair.session.send_text("t", "my-id") == "my-id"
    messages = [await asyncio.wait_for(pair.client.recv(), 5) for _ in range(4)]
    assert json.loads(messages[0]) == {"event": "custom", "data": {"a": 1}}
    assert messages[1:3] == ["{not json", b"\0\1"]
    assert json.loads(messages[3])["requestId"] == "my-id"
    sent = [e for e in pair.session.transcript if e.direction == "sent"]
    assert [e.kind for e in sent[-5:-1]] == ["text", "text", "binary", "text"]
    assert [e.data for e in sent[-5:-1]] == messages


async def test_images_are_kept(pair: Pair) -> None:
    image = ImageFrame(1, 90, 7, 4, 3, b"png")
    await pair.client.send(image.pack())
    await pair.tell({"event": "after"})
    await pair.session.wait_for("after")
    assert pair.session.images == [image]
    assert pair.session.bad_frames == 0


async def test_garbage_is_counted_and_said_once(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    short = AudioFrame(payload=b"abcd").pack()[:-1]
    no_rate = AudioFrame(sample_rate=3, payload=b"ab").pack()
    for message in (b"", b"\0rest", b"\xc0", b"\x40", short, b"\x80", no_rate):
        await pair.client.send(message)
    await pair.tell({"event": "after", "requestId": 5, "data": "text"})
    await pair.session.wait_for("after")
    assert pair.session.bad_frames == 7
    assert caplog.text.count("no frame") == 1
    assert pair.session.closed is None


@pytest.mark.parametrize(
    "text", ["{", "", "[]", "5", '{"no": "event"}', '{"event": 5}', "[" * 9999]
)
async def test_bad_json_is_closed_with_1002(pair: Pair, text: str) -> None:
    await pair.client.send(text)
    await asyncio.wait_for(pair.client.wait_closed(), 5)
    assert pair.client.close_code == 1002
    assert await pair.session.wait_closed() == 1002
    assert pair.session.ended


async def test_a_binary_message_may_have_65536_bytes(pair: Pair) -> None:
    largest = AudioFrame(payload=bytes(65527)).pack()
    assert len(largest) == 65536
    await pair.client.send(largest)
    await pair.tell({"event": "after"})
    await pair.session.wait_for("after")
    assert len(pair.session.pcm) == 65527
    await pair.client.send(largest + b"x")
    await asyncio.wait_for(pair.client.wait_closed(), 5)
    assert pair.client.close_code == 1009
    assert await pair.session.wait_closed() == 1009
    assert not pair.session.ended


async def test_a_text_message_is_bounded_too(pair: Pair) -> None:
    with contextlib.suppress(ConnectionClosed):  # the limit can be met while it is being sent
        await pair.client.send("x" * 5_000_000)
    assert await pair.session.wait_closed() == 1009


async def test_session_stop_closes_with_1000(pair: Pair) -> None:
    await pair.tell(Build.session_stop())
    await asyncio.wait_for(pair.client.wait_closed(), 5)
    assert pair.client.close_code == 1000
    assert await pair.session.wait_closed() == 1000
    assert pair.session.ended


@pytest.mark.parametrize(("code", "ended"), [(1000, True), (1001, False), (3000, False)])
async def test_the_clients_close_code_is_kept(pair: Pair, code: int, ended: bool) -> None:
    await pair.client.close(code)
    assert await pair.session.wait_closed() == code
    assert pair.session.ended is ended


async def test_the_platform_closes_and_cuts(pair: Pair) -> None:
    await pair.session.close(1011, "why")
    await asyncio.wait_for(pair.client.wait_closed(), 5)
    assert (pair.client.close_code, pair.client.close_reason) == (1011, "why")
    await pair.session.close()
    pair.session.cut()
    assert pair.session.closed == 1011


async def test_a_cut_says_nothing(pair: Pair) -> None:
    pair.session.cut()
    await asyncio.wait_for(pair.client.wait_closed(), 5)
    assert pair.client.close_code == 1006
    assert await pair.session.wait_closed() == 1006


async def test_nothing_is_sent_without_a_client(pair: Pair) -> None:
    await pair.client.close()
    await pair.session.wait_closed()
    with pytest.raises(ConnectionError, match="is not connected"):
        await pair.session.send_text("hi")


async def test_wait_for_gives_each_event_once(pair: Pair) -> None:
    await pair.tell({"event": "a", "n": 1}, {"event": "b"}, {"event": "a", "n": 2})
    assert (await pair.session.wait_for("a"))["n"] == 1
    assert (await pair.session.wait_for("a"))["n"] == 2
    assert await pair.session.wait_for("b") == {"event": "b"}
    with pytest.raises(TimeoutError, match=r"no a in 0.01 s; received: session.ready, a, b, a"):
        await pair.session.wait_for("a", timeout_s=0.01)


async def test_two_can_wait(pair: Pair) -> None:
    waits = [asyncio.create_task(pair.session.wait_for(name)) for name in ("x", "y")]
    await asyncio.sleep(0)
    await pair.tell({"event": "y"}, {"event": "x"})
    assert [event["event"] for event in await asyncio.gather(*waits)] == ["x", "y"]


async def test_an_open_connection_is_not_closed(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        await pair.session.wait_closed(timeout_s=0.01)


def test_it_prints_what_matters(pair: Pair) -> None:
    assert repr(pair.session) == f"<LiveSession {pair.session.session_id} IDLE closed=None>"
