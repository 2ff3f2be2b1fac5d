"""Real sessions, recorded on both sides."""

import asyncio
import contextlib
import io
import json
import signal
import subprocess
import sys
import time
import wave
from array import array
from pathlib import Path

import pytest
from ended import Ended
from schemas import errors
from sources import Told

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, Recorder
from avatarwire.akool import StreamingAvatarClient
from avatarwire.audio import PcmFormat
from avatarwire.cli.app import run
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.emulator.liveavatar.player import Player
from avatarwire.recording import Recording, findings, schema
from avatarwire.recording import recorder as recorder_module

HERE = Path(__file__).parent
KEY = "sk-0123456789abcdef"
USER = array("h", [500] * 16000).tobytes()


def noise(seconds, rate=24000):
    """Sound without a silent sample, and without two pieces alike."""
    return array("h", [1 + (k * 7919) % 30011 for k in range(round(seconds * rate))]).tobytes()


def records(path):
    lines = [json.loads(line) for line in (path / "timeline.jsonl").read_bytes().splitlines()]
    assert all(errors(line, schema()) == [] for line in lines)
    return lines


def sound(path):
    with wave.open(io.BytesIO(path.read_bytes())) as wav:
        return wav.readframes(wav.getnframes())


def heard(path):
    stereo = array("h", sound(path / "heard.wav"))
    return stereo[0::2], stereo[1::2]


def agent_of(emulator, **options):
    config = AvatarAgentConfig(KEY, "avatar", base_url=emulator.base_url, **options)
    return AvatarAgent(config, AgentListener())


async def say(session, pcm, rate=24000):
    async with session.audio_stream(sample_rate=rate) as stream:
        await stream.write(pcm)
    return await stream.wait_playout(10)


async def test_a_session_with_live_avatar(tmp_path):
    pcm = noise(0.5)
    async with LiveAvatarEmulator(user_audio=USER, api_key=KEY) as emulator:
        agent = agent_of(emulator)
        with Recorder(tmp_path / "client", session=agent) as recorder:
            assert recorder.is_recording
            await agent.start()
            with Recorder(tmp_path / "platform", session=emulator.sessions[0]):
                await say(agent, pcm)
                await asyncio.sleep(0.3)
                token = emulator.sessions[0].session_id
                await agent.stop()
    for side in ("client", "platform"):
        assert sound(tmp_path / side / "sent.wav") == pcm
        assert sound(tmp_path / side / "user.wav").startswith(USER[:6400])
        left, right = heard(tmp_path / side)
        assert array("h", pcm).tobytes() in right.tobytes()
        assert sum(map(bool, right)) == len(pcm) // 2
        assert max(left) == 500
        lines = records(tmp_path / side)
        assert lines[0]["side"] == side
        assert lines[0]["platform"] == "liveavatar"
        changes = [line["change"] for line in lines if line["kind"] == "turn"]
        assert [c for c in changes if c not in {"started", "finishing", "heard"}] == [
            "opened", "ended"
        ]  # fmt: skip
        (ended,) = [line for line in lines if line.get("change") == "ended" and "turn" in line]
        assert ended["reason"] == "completed"
        text = (tmp_path / side / "timeline.jsonl").read_text()
        assert KEY not in text
    lines = records(tmp_path / "client")
    assert [line["change"] for line in lines if line["kind"] == "life"] == ["connected", "ended"]
    assert {line.get("session") for line in lines if line["kind"] == "life"} == {token}
    assert lines[-1]["kind"] == "stats" or lines[-1]["change"] == "heard"
    assert not recorder.is_recording or recorder.path == tmp_path / "client"


@pytest.mark.parametrize("wire", ["envelope", "flat"])
async def test_a_session_with_akool_and_no_token_of_it(tmp_path, wire):
    pcm, token = noise(0.4, 16000), "007eJxTYABBbsMMnKq7p9HIX5kce9b518kCiQgSr5Zrp4X1Tu6UU"
    async with AkoolEmulator(api_key=KEY) as emulator:
        client = StreamingAvatarClient(KEY, "avatar", emulator.discovery_url, wire=wire)
        await client.start()
        with (
            Recorder(tmp_path / "client", session=client),
            Recorder(tmp_path / "platform", session=emulator.sessions[0]),
        ):
            await client.set_agora_params("app", "channel", token, "12345")
            await say(client, pcm, 16000)
            await client.stop()
        secret = emulator.sessions[0].messages
        assert token in json.dumps(secret)
    for side in ("client", "platform"):
        assert sound(tmp_path / side / "sent.wav") == pcm
        assert pcm in heard(tmp_path / side)[1].tobytes()
        text = (tmp_path / side / "timeline.jsonl").read_text()
        assert token not in text
        assert KEY not in text
        assert "base64" not in text  # its sound is in the WAV alone
        records(tmp_path / side)


async def test_the_session_goes_on_across_a_gap(tmp_path):
    async with LiveAvatarEmulator() as emulator:
        agent = agent_of(emulator, reconnect=True, reconnect_base_delay=0.01)
        with Recorder(tmp_path, session=agent):
            await agent.start()
            async with agent.audio_stream() as stream:
                await stream.write(noise(0.6))
                await asyncio.sleep(0.1)
                emulator.sessions[0].cut()
            assert (await stream.wait_playout(10)).reason == "completed"
            await agent.stop()
    lines = records(tmp_path)
    assert [line["change"] for line in lines if line["kind"] == "life"] == [
        "connected", "gap", "connected", "ended"
    ]  # fmt: skip
    assert "taken_back" in [line.get("change") for line in lines]
    right = heard(tmp_path)[1]
    assert abs(sum(map(bool, right)) - 14400) <= 960  # what was begun is heard again from its frame


class Played:
    """What the emulator's clock plays, noted where it decides, and put together by itself."""

    def __init__(self, monkeypatch):
        self.events = []
        audio, play, end = Player.audio, Player._play, Player._end

        def noting_audio(player, frame):
            self.frame = frame.payload
            audio(player, frame)

        def noting_play(player, turn, seconds):
            play(player, turn, seconds)
            self.events.append(("play", player._played_at - seconds, self.frame))

        def noting_end(player, outcome, reason):
            turn = player._turn
            end(player, outcome, reason)
            if turn is not None and outcome != "finished":
                self.events.append(("cut", self.last_s, b""))

        monkeypatch.setattr(Player, "audio", noting_audio)
        monkeypatch.setattr(Player, "_play", noting_play)
        monkeypatch.setattr(Player, "_end", noting_end)

    def watch(self, player):
        """Note what the player's clock says."""
        clock = player._clock

        class Noting:
            call_later = clock.call_later

            def time(_):  # noqa: N805
                self.last_s = clock.time()
                return self.last_s

        player._clock = Noting()

    def samples(self, begun_s, length, rate=24000):
        played, end = array("h", bytes(2 * length)), None
        for kind, at_s, pcm in self.events:
            at = round((at_s - begun_s) * rate)
            if kind == "cut":
                played[at:] = array("h", bytes(2 * max(0, length - at)))
                end = None
                continue
            frame = array("h", pcm)
            if end is not None and abs((at_s - begun_s) * rate - end) < 0.51:
                at = end
            played[at : at + len(frame)] = frame
            end = at + len(frame)
        return played


async def test_heard_is_what_the_emulators_clock_played_sample_by_sample(tmp_path, monkeypatch):
    """Interrupts, a gap, a slow link that stalls, and a pause in the sound."""
    played = Played(monkeypatch)
    async with LiveAvatarEmulator() as emulator:
        emulator.faults.bandwidth_bit_s = 600_000
        emulator.faults.latency_s = 0.03
        emulator.faults.jitter_s = 0.02
        agent = agent_of(emulator, reconnect=True, reconnect_base_delay=0.01)
        await agent.start()
        session = emulator.sessions[0]
        played.watch(session._player)
        with Recorder(tmp_path / "platform", session=session) as recorder:
            async with agent.audio_stream() as stream:
                await stream.write(noise(1.0))
                await asyncio.sleep(0.4)
                await stream.interrupt()
            async with agent.audio_stream() as stream:
                await stream.write(noise(0.6))
                await asyncio.sleep(0.3)
                session.cut()
                await asyncio.sleep(0.3)
                await stream.write(noise(0.3))
            assert (await stream.wait_playout(10)).reason == "completed"
            async with agent.audio_stream() as stream:
                await stream.write(noise(0.4))
                session.stall(0.7)
                await asyncio.sleep(1.5)  # longer than the stall and the sound: it runs out
                await stream.write(noise(0.8))
                await asyncio.sleep(1.2)
                await stream.interrupt()
            await asyncio.sleep(0.2)
        underruns = sum(turn.underruns for turn in session.turns)
        await agent.stop()
    assert recorder.path.is_dir()
    assert underruns > 0
    lines = records(tmp_path / "platform")
    right = heard(tmp_path / "platform")[1]
    expected = played.samples(lines[0]["clock"]["monotonic_s"], len(right))
    assert {kind for kind, *_ in played.events} == {"play", "cut"}
    assert sum(map(bool, right)) > 24000
    assert right == expected


async def test_without_content_there_is_nothing_to_hear(tmp_path):
    async with LiveAvatarEmulator(greeting="my private words") as emulator:
        agent = agent_of(emulator)
        with Recorder(tmp_path, session=agent, content=False):
            await agent.start()
            await say(agent, noise(0.2))
            await agent.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["timeline.jsonl"]
    assert "private" not in (tmp_path / "timeline.jsonl").read_text()
    assert sum(line["n"] for line in records(tmp_path) if line["kind"] == "audio") == 4800


def test_what_is_wrong_with_the_arguments(tmp_path):
    with pytest.raises(TypeError, match="a dict cannot be recorded: give an agent"):
        Recorder(tmp_path, session={})
    for options in ({"max_bytes": 0}, {"keep_s": 0}, {"keep_s": float("nan")}):
        with pytest.raises(ValueError, match="must be positive"):
            Recorder(tmp_path, session=Told(), **options)
    recorder = Recorder(tmp_path, session=Told())
    with recorder, pytest.raises(RuntimeError, match="make another one"):
        recorder.__enter__()
    with pytest.raises(FileExistsError, match="holds a recording already"):
        Recorder(tmp_path, session=Told()).__enter__()


def test_it_stops_at_its_limit_and_says_so(tmp_path, caplog):
    source = Told()
    with Recorder(tmp_path, session=source, max_bytes=3000) as recorder:
        for _ in range(30):
            source.to.message("sent", "binary", bytes(200))
    assert not recorder.is_recording
    lines = records(tmp_path)
    assert lines[-1]["change"] == "full"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3300
    assert (
        len([line for line in caplog.records if "has reached its 3000 bytes" in line.message]) == 1
    )


def test_a_disk_that_fails_ends_the_recording_alone(tmp_path, caplog, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    source = Told()
    with Recorder(tmp_path, session=source) as recorder:
        monkeypatch.setattr("avatarwire.recording.files.Folder.record", fail)
        source.to.message("sent", "text", "{}")
    assert not recorder.is_recording
    assert "No space left on device" in caplog.text


def test_the_loop_writes_nothing(tmp_path):
    source = Told()
    with Recorder(tmp_path, session=source):
        for _ in range(100):
            source.to.message("sent", "binary", bytes(2000))
        assert not (tmp_path / "sent.wav").exists()
    assert len(sound(tmp_path / "sent.wav")) == 200_000


class TestARing:
    def test_is_written_at_an_error_and_not_before(self, tmp_path):
        source = Told()
        with Recorder(tmp_path / "ring", session=source, keep_s=60):
            source.to.message("sent", "binary", b"abcd")
            source.to.turn("a", "ended", {"reason": "completed"})
            time.sleep(0.5)
            assert not (tmp_path / "ring").exists()
            source.to.message("sent", "binary", b"efgh")
            source.to.turn("b", "ended", {"reason": "lost"})
            source.to.message("sent", "binary", b"ijkl")
        lines = records(tmp_path / "ring")
        assert lines[0]["kind"] == "snapshot"
        assert [line["at"] for line in lines if line["kind"] == "audio"] == [0, 2, 4]
        assert sound(tmp_path / "ring" / "sent.wav") == b"abcdefghijkl"

    def test_keeps_what_is_young_alone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(recorder_module, "INTERVAL_S", 0.01)
        source = Told()
        with Recorder(tmp_path / "ring", session=source, keep_s=0.3) as recorder:
            source.to.message("sent", "binary", b"abcd")
            time.sleep(0.6)
            source.to.message("sent", "binary", b"efgh")
            time.sleep(0.1)
            recorder.dump()
        (audio,) = [line for line in records(tmp_path / "ring") if line["kind"] == "audio"]
        assert audio["at"] == 0
        assert sound(tmp_path / "ring" / "sent.wav") == b"efgh"

    def test_is_written_when_the_block_fails(self, tmp_path):
        source = Told()
        recorder = Recorder(tmp_path / "r", session=source, keep_s=9)
        recorder.__enter__()
        source.to.message("sent", "text", "{}")
        recorder.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        assert [line["kind"] for line in records(tmp_path / "r")] == ["snapshot", "text"]


KILLED = """
import asyncio, sys
sys.path[:0] = {tests!r}
from test_recorder import *

async def main():
    async with LiveAvatarEmulator() as emulator:
        agent = agent_of(emulator)
        with Recorder({path!r}, session=agent):
            await agent.start()
            async with agent.audio_stream() as stream:
                print("speaks", flush=True)
                while True:
                    await stream.write(noise(0.2))

asyncio.run(main())
"""


def test_a_process_that_is_killed_leaves_a_recording(tmp_path, capsys):
    path = tmp_path / "killed"
    code = KILLED.format(tests=[str(HERE), str(HERE.parent)], path=str(path))
    with Ended([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"speaks\n"
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError, wave.Error, EOFError):
                if sum(map(bool, heard(path)[1])) > 12000:
                    break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    lines = [json.loads(line) for line in (path / "timeline.jsonl").read_bytes().splitlines()]
    sent = [line for line in lines if line["kind"] == "audio"]
    assert len(sound(path / "sent.wav")) >= 2 * sum(line["n"] for line in sent[:-1])
    right = heard(path)[1].tobytes().strip(b"\0")
    assert len(right) > 2 * 9000
    found = findings(Recording(path))
    (turn,) = found.turns
    assert (turn.reason, turn.ended_s) == ("", None)
    assert run(["inspect", str(path)]) == 0
    assert capsys.readouterr().out


async def test_it_costs_little(tmp_path):
    source = Told()
    frame = noise(0.04)
    with Recorder(tmp_path, session=source):
        begun_s, begun_cpu_s = time.monotonic(), time.process_time()
        for index in range(50):
            source.to.message("sent", "binary", frame)
            source.to.message("received", "binary", frame[:1280])
            source.to.sound("a", frame, PcmFormat(1000), begun_s + index * 0.96, time.monotonic())
            await asyncio.sleep(0.04)
        share = (time.process_time() - begun_cpu_s) / (time.monotonic() - begun_s)
    assert share < 0.05
