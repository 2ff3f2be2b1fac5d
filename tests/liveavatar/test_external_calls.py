"""Accompaniment and external playback, by the exact bytes that arrive."""

import array
import asyncio
import random
import struct

import pytest
from agents import config_for

from avatarwire import AudioFrame, AvatarAgent, ExternalAudioFrame, SessionLost
from avatarwire.liveavatar.external import ExternalAudioStream

STEREO = {"sampleRate": 48000, "channels": 2}


def sound(size_bytes, seed=1):
    return random.Random(seed).randbytes(size_bytes)  # noqa: S311


async def settled(agent, session):
    await agent.send_custom_event(None, "test.marker")
    await session.wait_for("test.marker")


@pytest.fixture
async def stereo(emulator, listener):
    async with AvatarAgent(config_for(emulator, external_audio_config=STEREO), listener) as agent:
        yield agent


async def test_a_clip_is_one_message_as_the_protocol_says(agent, session):
    await agent.send_external_audio(b"abcd", timestamp_us=-7)
    await agent.send_external_audio(array.array("h", [1, 2, 3]))
    await settled(agent, session)
    binaries = [entry.data for entry in session.transcript if entry.kind == "binary"]
    assert binaries == [
        b"EXAU\x01" + struct.pack(">QqI", 1, -7, 4) + b"abcd",
        b"EXAU\x01" + struct.pack(">QqI", 2, 0, 6) + struct.pack("<3h", 1, 2, 3),
    ]


async def test_a_long_clip_is_split_on_whole_samples_and_its_timestamp_advanced(emulator, stereo):
    (session,) = emulator.sessions
    pcm = sound(200_000)
    await stereo.send_external_audio(pcm, timestamp_us=1_000_000)
    await stereo.send_external_audio(pcm)
    await settled(stereo, session)
    frames = session.external_frames
    assert [len(frame.payload) for frame in frames] == [65_508, 65_508, 65_508, 3476] * 2
    assert b"".join(frame.payload for frame in frames) == pcm * 2
    assert [frame.sequence for frame in frames] == list(range(1, 9))
    groups = [0, 16_377, 32_754, 49_131]
    assert [frame.timestamp_us for frame in frames] == [
        *(1_000_000 + passed * 1_000_000 // 48_000 for passed in groups),
        *[0] * 4,
    ]
    assert session.closed is None
    assert max(len(entry.data) for entry in session.transcript) <= 65_536


@pytest.mark.parametrize(
    ("pcm", "timestamp_us", "error", "words"),
    [
        (b"", 0, ValueError, "at least one, not 0 bytes"),
        (b"abc", 0, ValueError, r"whole 16-bit samples of 1 channel\(s\), at least one, not 3"),
        ("text", 0, TypeError, "not str"),
        (array.array("f", [1]), 0, TypeError, "not floats"),
        (b"ab", 2**63, ValueError, "timestamp_us"),
        (bytes(70_000), 2**63 - 1, ValueError, "timestamp_us"),
        (b"ab", 0.5, TypeError, "timestamp_us|integer"),
    ],
)
async def test_a_bad_clip_is_refused_whole(agent, session, pcm, timestamp_us, error, words):
    with pytest.raises(error, match=words):
        await agent.send_external_audio(pcm, timestamp_us=timestamp_us)
    await agent.send_external_audio(b"ab")
    await settled(agent, session)
    assert session.external_frames == [ExternalAudioFrame(1, 0, b"ab")]


async def test_a_stereo_clip_is_whole_pairs(stereo):
    with pytest.raises(ValueError, match="2 channel"):
        await stereo.send_external_audio(b"abcdef")


async def test_each_session_counts_from_1(emulator, agent):
    await agent.send_external_audio(b"ab")
    await agent.stop()
    await agent.start()
    await agent.send_external_audio(b"ab")
    session = emulator.sessions[1]
    await settled(agent, session)
    assert [frame.sequence for frame in session.external_frames] == [1]


# Streams


async def test_a_stream_begins_with_a_longer_packet_and_is_paced(agent, session):
    pcm = sound(48_000)  # one second
    async with agent.external_audio_stream() as music:
        assert isinstance(music, ExternalAudioStream)
        for start in range(0, len(pcm), 960):
            assert await music.write(pcm[start : start + 960])
            if start == 960 * 18:
                assert music.sent_ms == 0, "380 ms are less than the first packet"
        assert music.sent_ms >= 400
    await settled(agent, session)
    sizes = [len(frame.payload) for frame in session.external_frames]
    assert sizes[0] == 19_200
    assert sum(sizes) == 48_000
    assert max(sizes[1:]) <= 19_200
    assert b"".join(frame.payload for frame in session.external_frames) == pcm
    assert all(frame.timestamp_us == 0 for frame in session.external_frames)
    first, *_, last = [entry.time_s for entry in session.transcript if entry.kind == "binary"]
    assert last - first > 0.3, "only what fits into the first packet may be ahead of time"
    assert (await music.wait_playout()).reason == "completed"
    assert session.state.value == "IDLE"


async def test_a_stream_shorter_than_its_first_packet_leaves_at_its_end(agent, session):
    async with agent.external_audio_stream(first_ms=60_000) as music:
        await music.write(bytes(960))
        assert music.sent_ms == 0
    await settled(agent, session)
    assert [len(frame.payload) for frame in session.external_frames] == [960]


async def test_a_stream_that_is_left_by_an_exception_stops_the_music_alone(agent, session):
    async def play():
        async with agent.external_audio_stream() as music:
            await music.write(bytes(48_000))
            raise LookupError

    with pytest.raises(LookupError):
        await play()
    await settled(agent, session)
    interrupt = next(event for event in session.events if event["event"] == "control.interrupt")
    assert interrupt == {"event": "control.interrupt", "data": {"interruptScope": "BGM_ONLY"}}


@pytest.mark.parametrize(
    ("scope", "ends"),
    [("BGM_ONLY", True), (" VOICE_AND_ACCOMPANIMENT ", True), ("VOICE_ONLY", False), (None, False)],
)
async def test_an_interrupt_that_clears_the_music_ends_its_stream(agent, session, scope, ends):
    async with agent.external_audio_stream() as music:
        await music.write(bytes(24_000))
        await agent.send_interrupt(interrupt_scope=scope)
        assert music.is_open is not ends
        sent = len(session.external_frames)
        assert await music.write(bytes(960)) is not ends
        await settled(agent, session)
        assert len(session.external_frames) >= sent
    events = [event["event"] for event in session.events]
    assert events.count("control.interrupt") == 1


async def test_the_musics_own_interrupt_may_name_its_scope(agent, session):
    async with agent.external_audio_stream() as music:
        await music.write(bytes(24_000))
        assert (await music.interrupt(scope="BGM_ONLY")).reason == "interrupted"
    await settled(agent, session)
    interrupt = next(event for event in session.events if event["event"] == "control.interrupt")
    assert interrupt["data"] == {"interruptScope": "BGM_ONLY"}


async def test_music_and_voice_go_together(agent, session):
    async with agent.external_audio_stream() as music, agent.audio_stream("r") as turn:
        await music.write(bytes(24_000))
        await turn.write(bytes(4800))
    assert (await turn.wait_playout(10)).reason == "completed"
    await settled(agent, session)
    assert sum(len(frame.payload) for frame in session.external_frames) == 24_000
    assert len(session.pcm) == 4800


async def test_a_stream_ends_with_its_session(agent, session):
    async with agent.external_audio_stream() as music:
        await music.write(bytes(48_000))
        await session.close(1011)
        await agent.wait_closed()
        assert not await music.write(bytes(960))
    assert (await music.wait_playout()).reason == "lost"
    with pytest.raises(SessionLost):
        await agent.external_audio_stream().__aenter__()


async def test_another_format_than_configured_is_converted(emulator, stereo):
    (session,) = emulator.sessions
    async with stereo.external_audio_stream(sample_rate=24_000, channels=1) as music:
        await music.write(bytes(4800))  # 100 ms
    await settled(stereo, session)
    received = sum(len(frame.payload) for frame in session.external_frames)
    assert received == pytest.approx(19_200, rel=0.02)


async def test_a_stream_is_as_configured_or_as_written(emulator, stereo, agent):
    async with stereo.external_audio_stream() as music:
        await music.write(bytes(192_000 // 10))
        assert music.written_ms == 100
    async with agent.external_audio_stream(sample_rate=44_100, channels=2) as music:
        await music.write(bytes(17_640))
        assert music.written_ms == 100
    for wrong in ({"first_ms": -1}, {"batch_ms": float("nan")}, {"sample_rate": -8000}):
        with pytest.raises(ValueError, match=r"first_ms|lead_ms|batch_ms|rate"):
            agent.external_audio_stream(**wrong)


# External playback


def names(session):
    return [event["event"] for event in session.events if event["event"].startswith("response")]


async def test_external_playback_is_a_turn_that_says_so(agent, session):
    pcm = sound(10_001 * 2)

    async def pieces():
        for start in range(0, len(pcm), 777):
            await asyncio.sleep(0)
            yield pcm[start : start + 777]

    await agent.send_external_playback("r", "p", pieces())
    await settled(agent, session)
    start, finish = session.events[1:3]
    ids = {"requestId": "r", "responseId": "p", "data": {"purpose": "external"}}
    assert start == {"event": "response.audio.start", **ids}
    assert finish == {"event": "response.audio.finish", **ids}
    (turn,) = session.turns
    assert bytes(turn.pcm) == pcm
    assert str(turn.format) == "24000 Hz mono"
    frames = [AudioFrame.unpack(e.data) for e in session.transcript if e.kind == "binary"]
    assert [frame.key for frame in frames] == [1] + [0] * (len(frames) - 1)


async def test_external_playback_takes_frames_as_they_are(agent, session):
    frames = [AudioFrame(seq=seq, codec=1, payload=b"opus") for seq in (5, 6)]
    await agent.send_external_playback("r", "p", frames)
    await agent.send_external_playback("r", "q", iter([bytes(640)]), sample_rate=16_000)
    await settled(agent, session)
    received = [AudioFrame.unpack(e.data) for e in session.transcript if e.kind == "binary"]
    assert received[:2] == frames
    assert (received[2].sample_rate, received[2].samples) == (0, 320)


async def test_external_playback_is_completed_when_its_source_fails(agent, session):
    def source():
        yield bytes(960)
        raise LookupError("no more")

    with pytest.raises(LookupError):
        await agent.send_external_playback("r", "p", source())
    await settled(agent, session)
    assert names(session) == ["response.audio.start", "response.audio.finish"]
    assert session.events[-2]["data"] == {"purpose": "external"}


async def test_external_playback_that_cannot_be_completed_says_so(agent, session):
    async def source():
        yield bytes(960)
        await session.close(1011)
        await agent.wait_closed()
        raise LookupError("no more")

    with pytest.raises(LookupError) as caught:
        await agent.send_external_playback("r", "p", source())
    assert "'p' could not be completed" in caught.value.__notes__[0]


async def test_an_odd_last_byte_of_external_playback_is_told(agent, session, caplog):
    await agent.send_external_playback("r", "p", [b"abc"])
    await settled(agent, session)
    assert session.pcm == b"ab"
    assert "turn p: the last byte of its sound is no whole sample" in caplog.text


@pytest.mark.parametrize(
    ("frames", "keywords", "error", "words"),
    [
        (b"pcm!", {}, TypeError, "an iterable of AudioFrame or PCM"),
        (7, {}, TypeError, "not int"),
        ([], {"sample_rate": 22_050}, ValueError, "22050"),
    ],
)
async def test_bad_external_playback_sends_nothing(agent, session, frames, keywords, error, words):
    with pytest.raises(error, match=words):
        await agent.send_external_playback("r", "p", frames, **keywords)
    await settled(agent, session)
    assert names(session) == []


async def test_a_frame_that_is_none_completes_the_turn(agent, session):
    with pytest.raises(TypeError, match="not str"):
        await agent.send_external_playback("r", "p", ["text"])
    with pytest.raises(ValueError, match="65,536"):
        await agent.send_external_playback("r", "q", [AudioFrame(payload=bytes(65_528))])
    await settled(agent, session)
    assert names(session) == ["response.audio.start", "response.audio.finish"] * 2


async def test_external_playback_waits_for_an_open_stream(agent):
    async with agent.audio_stream():
        with pytest.raises(RuntimeError, match="is open"):
            await agent.send_external_playback("r", "p", [])
