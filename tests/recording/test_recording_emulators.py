"""All sessions of an emulator, recorded at once over real sockets."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from urllib.parse import urlencode

from ended import Ended
from test_recorder import KEY, agent_of, heard, noise, records, say, sound
from websockets.asyncio.client import connect

from avatarwire import Recorder
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.recording import Recording, findings
from avatarwire.recording import recorder as recorder_module


def folders(path):
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.is_dir())


def lives(path):
    changes = [line["change"] for line in records(path) if line["kind"] == "life"]
    return [change for change in changes if change != "state"]


def dial(emulator, session_id, avatar_id="a"):
    url = emulator.server_url.replace("http", "ws", 1) + "/streamingAvatar/ws/v1"
    return connect(f"{url}?{urlencode({'session_id': session_id, 'avatar_id': avatar_id})}")


async def until(is_true):
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(0.01)


async def closed(emulator):
    for session in emulator.sessions:
        await session.wait_closed()


async def test_sessions_that_began_before_and_after_it(tmp_path):
    async with LiveAvatarEmulator(api_key=KEY) as emulator:
        first, second, third = agent_of(emulator), agent_of(emulator), agent_of(emulator)
        await first.start()
        with Recorder(tmp_path / "all", session=emulator) as recorder:
            assert recorder.is_recording
            await second.start()
            await asyncio.gather(say(first, noise(0.2)), say(second, noise(0.3)))
            assert recorder.is_recording
        await third.start()
        ids = [session.session_id for session in emulator.sessions]
        with Recorder(tmp_path / "all", session=emulator):
            pass
        for agent in (first, second, third):
            await agent.stop()
    assert len(ids) == 3
    assert folders(tmp_path / "all") == sorted([*ids, f"{ids[0]}.2", f"{ids[1]}.2"])
    for id_, seconds in zip(ids, (0.2, 0.3), strict=False):
        path = tmp_path / "all" / id_
        lines = records(path)
        assert (lines[0]["session"], lines[0]["side"]) == (id_, "platform")
        assert sound(path / "sent.wav") == noise(seconds)
        assert noise(seconds) in heard(path)[1].tobytes()
        (turn,) = findings(Recording(path)).turns
        assert turn.reason == "completed"
        assert KEY not in (path / "timeline.jsonl").read_text()
    assert lives(tmp_path / "all" / ids[0]) == []
    assert lives(tmp_path / "all" / ids[1]) == ["connected"]


async def test_a_session_that_comes_back_stays_in_its_folder(tmp_path):
    emulator = LiveAvatarEmulator()
    with Recorder(tmp_path, session=emulator):
        async with emulator:
            agent = agent_of(emulator, reconnect=True, reconnect_base_delay=0.01)
            await agent.start()
            await say(agent, noise(0.1))
            emulator.sessions[0].cut()
            await emulator.sessions[0].wait_closed()
            await asyncio.sleep(0.3)  # its files are closed meanwhile
            await say(agent, noise(0.1))
            await agent.stop()
            await closed(emulator)
    (name,) = folders(tmp_path)
    assert lives(tmp_path / name) == ["connected", "ended", "connected", "ended"]
    assert sound(tmp_path / name / "sent.wav").count(noise(0.1)) == 2


async def test_ids_that_clients_choose_lead_out_of_no_folder(tmp_path):
    path = tmp_path / "deep" / "down"
    odd = ("../../evil", "..", "/etc/passwd", "a\0b", "x" * 300)
    async with AkoolEmulator() as emulator:
        with Recorder(path, session=emulator):
            for session_id in odd:
                async with dial(emulator, session_id):
                    pass
            for avatar_id in ("one", "two"):
                async with dial(emulator, "same", avatar_id):
                    pass
            await closed(emulator)
    assert len(folders(path)) == len(odd) + 2
    assert folders(tmp_path) == sorted(
        ["deep", "deep/down", *(f"deep/down/{name}" for name in folders(path))]
    )
    assert {"______evil", "__", "same", "same.2"} < set(folders(path))
    assert {records(path / name)[0]["session"] for name in folders(path)} == {*odd, "same"}


async def test_its_limit_is_that_of_all_and_told_for_each(tmp_path, caplog):
    async with AkoolEmulator() as emulator:
        with Recorder(tmp_path, session=emulator, max_bytes=3000) as recorder:
            async with dial(emulator, "long") as socket:
                for _ in range(10):
                    await socket.send(json.dumps({"no": "message" * 100}))
                    await socket.recv()
                await until(lambda: not recorder.is_recording)
                async with dial(emulator, "late"):
                    pass
        assert len(emulator.sessions) == 2
    assert folders(tmp_path) == ["long"]
    assert records(tmp_path / "long")[-1]["change"] == "full"
    told = [line.message for line in caplog.records if "recording" in line.message]
    assert len(told) == 2
    assert "long has reached its 3000 bytes" in told[0]
    assert "late has failed, the session goes on: its recorder has written" in told[1]


async def test_a_folder_that_cannot_be_made_spares_the_others(tmp_path, caplog, monkeypatch):
    create = recorder_module.create

    def fail(directory, name, make):
        if name == "poor":
            raise OSError(28, "No space left on device")
        return create(directory, name, make)

    monkeypatch.setattr(recorder_module, "create", fail)
    async with AkoolEmulator() as emulator:
        with Recorder(tmp_path, session=emulator) as recorder:
            async with dial(emulator, "poor"), dial(emulator, "rich"):
                pass
            await closed(emulator)
    assert not recorder.is_recording
    assert folders(tmp_path) == ["rich"]
    assert lives(tmp_path / "rich") == ["connected", "ended"]
    assert "poor has failed, the session goes on" in caplog.text


async def test_a_ring_is_written_for_the_session_that_fails_alone(tmp_path):
    async with AkoolEmulator() as emulator:
        with Recorder(tmp_path, session=emulator, keep_s=60):
            async with dial(emulator, "well"), dial(emulator, "ill"):
                emulator.sessions[1].cut()
                await emulator.sessions[1].wait_closed()
            await closed(emulator)
    assert folders(tmp_path) == ["ill"]
    assert lives(tmp_path / "ill") == ["connected", "ended"]


async def test_a_session_that_the_platform_forgets_is_let_go_of(tmp_path):
    async with LiveAvatarEmulator() as emulator:
        agent = agent_of(emulator)
        with Recorder(tmp_path, session=emulator) as recorder:
            await agent.start()
            await agent.stop()
            await closed(emulator)
            gone = weakref.ref(emulator.sessions[0])
            emulator.forget(emulator.sessions[0])
            await until(lambda: gc.collect() >= 0 and gone() is None)
            assert recorder.is_recording
            (name,) = folders(tmp_path)
            assert lives(tmp_path / name) == ["connected", "ended"]


KILLED = """
import asyncio
from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, Recorder
from avatarwire.emulator import LiveAvatarEmulator

async def speak(emulator):
    config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
    async with AvatarAgent(config, AgentListener()) as agent:
        async with agent.audio_stream(sample_rate=24000) as turn:
            await turn.write({pcm!r})
        await turn.wait_playout(10)
        await asyncio.sleep(0.5)
        print("spoken", flush=True)
        await asyncio.Event().wait()

async def main():
    async with LiveAvatarEmulator() as emulator:
        with Recorder({path!r}, session=emulator):
            await asyncio.gather(speak(emulator), speak(emulator))

asyncio.run(main())
"""


def test_a_process_that_is_killed_leaves_them_all(tmp_path):
    code = KILLED.format(pcm=noise(0.1), path=str(tmp_path / "all"))
    with Ended([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert [process.stdout.readline() for _ in range(2)] == [b"spoken\n"] * 2
        os.kill(process.pid, signal.SIGKILL)
    assert len(folders(tmp_path / "all")) == 2
    for name in folders(tmp_path / "all"):
        path = tmp_path / "all" / name
        assert sound(path / "sent.wav") == noise(0.1)
        assert noise(0.1) in heard(path)[1].tobytes()
        (turn,) = findings(Recording(path)).turns
        assert turn.reason == "completed"
