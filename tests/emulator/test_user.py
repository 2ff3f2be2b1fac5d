"""A user who speaks, heard by the platform: what a client gets of it."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder, encode


async def test_the_platform_recognises_a_file_by_its_transcript(tmp_path: Path) -> None:
    path = tmp_path / "user.wav"
    write_wav(path, bytes(6400), PcmFormat(16000))  # 200 ms
    emulator = LiveAvatarEmulator(
        greeting=None, user_audio=path, user_transcript="what is\nthe weather"
    )
    async with emulator, httpx.AsyncClient() as http:
        answer = await http.post(f"{emulator.base_url}/v1/session/start", json={"avatarId": "a"})
        async with connect(answer.json()["data"]["agentWsUrl"], proxy=None) as client:
            await client.send(encode(MessageBuilder.session_ready()), text=True)
            heard = []
            async with asyncio.timeout(5):
                while not heard or heard[-1]["event"] != "input.text":
                    message = await client.recv()
                    assert isinstance(message, str), "the platform keeps the sound to itself"
                    heard.append(json.loads(message))
        (session,) = emulator.sessions
    told = [event for event in heard if event["event"].startswith("input.")]
    assert len({event["requestId"] for event in told}) == 1
    assert [(e["event"], e.get("seq"), e.get("data", {}).get("text")) for e in told] == [
        ("input.voice.start", None, None),
        ("input.asr.partial", 1, "what"),
        ("input.asr.partial", 2, "what is"),
        ("input.asr.partial", 3, "what is the"),
        ("input.asr.partial", 4, "what is the weather"),
        ("input.voice.finish", None, None),
        ("input.asr.final", None, "what is the weather"),
        ("input.text", None, "what is the weather"),
    ]
    states = [event["data"]["state"] for event in heard if event["event"] == "session.state"]
    assert states[:2] == ["IDLE", "LISTENING"]
    times = [e.time_s for e in session.transcript if "input." in str(e.data)]
    assert times[-1] - times[0] >= 0.15, "in real time"


def test_a_transcript_is_of_something() -> None:
    with pytest.raises(ValueError, match="give both"):
        LiveAvatarEmulator(user_transcript="what is the weather")
