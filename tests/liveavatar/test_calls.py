"""Every send call, by what arrives at the platform."""

import array

import pytest

from avatarwire import (
    AudioFrame,
    AudioFrameBuilder,
    AvatarAgent,
    AvatarAgentConfig,
    ImageFrame,
    ImageFrameBuilder,
)
from avatarwire.liveavatar.messages import decode

META = {"trace": "t-1"}
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(500)

# (call, positional arguments, keywords, the event that must arrive)
CALLS = [
    (
        "send_response_start",
        ("r", "p"),
        {"speed": 1.5, "volume": 0.5, "mood": "happy", "metadata": META},
        {
            "event": "response.start",
            "requestId": "r",
            "responseId": "p",
            "data": {"audioConfig": {"speed": 1.5, "volume": 0.5, "mood": "happy"}, **META},
        },
    ),
    (
        "send_response_chunk",
        ("r", "p", 0, 1000, "word "),
        {},
        {
            "event": "response.chunk",
            "requestId": "r",
            "responseId": "p",
            "seq": 0,
            "timestamp": 1000,
            "data": {"text": "word "},
        },
    ),
    (
        "send_response_done",
        ("r", "p"),
        {"metadata": META},
        {"event": "response.done", "requestId": "r", "responseId": "p", "data": META},
    ),
    ("send_response_cancel", ("p",), {}, {"event": "response.cancel", "responseId": "p"}),
    (
        "send_response_audio_start",
        ("r", "p"),
        {},
        {"event": "response.audio.start", "requestId": "r", "responseId": "p"},
    ),
    (
        "send_response_audio_finish",
        ("r", "p", META),
        {},
        {"event": "response.audio.finish", "requestId": "r", "responseId": "p", "data": META},
    ),
    ("send_prompt_audio_start", (), {}, {"event": "response.audio.promptStart"}),
    ("send_prompt_audio_finish", (), {}, {"event": "response.audio.promptFinish"}),
    (
        "send_voice_start",
        ("r",),
        {"metadata": META},
        {"event": "input.voice.start", "requestId": "r", "data": META},
    ),
    (
        "send_asr_partial",
        ("r", "hel", 1),
        {},
        {
            "event": "input.asr.partial",
            "requestId": "r",
            "seq": 1,
            "data": {"text": "hel", "final": False},
        },
    ),
    ("send_voice_finish", ("r",), {}, {"event": "input.voice.finish", "requestId": "r"}),
    (
        "send_asr_final",
        ("r", "hello"),
        {},
        {"event": "input.asr.final", "requestId": "r", "data": {"text": "hello"}},
    ),
    ("send_interrupt", (), {}, {"event": "control.interrupt"}),
    (
        "send_interrupt",
        ("r", META),
        {},
        {"event": "control.interrupt", "requestId": "r", "data": META},
    ),
    (
        "send_prompt",
        ("still there?",),
        {},
        {"event": "system.prompt", "data": {"text": "still there?"}},
    ),
    (
        "send_error",
        ("ASR", "deaf", "r"),
        {},
        {"event": "error", "requestId": "r", "data": {"code": "ASR", "message": "deaf"}},
    ),
    (
        "send_custom_event",
        ("r", "my.event", {"x": [1, None, "é"]}),
        {},
        {"event": "my.event", "requestId": "r", "data": {"x": [1, None, "é"]}},
    ),
    ("send_custom_event", (None, "my.event"), {}, {"event": "my.event"}),
    ("send_custom_event", (None, "my.event", {}), {}, {"event": "my.event", "data": {}}),
]
BINARY_CALLS = {
    "send_audio",
    "send_audio_frame",
    "send_external_audio",
    "send_external_playback",
    "send_image_frame",
}
NEED_AN_ACTIVE_RESPONSE = {"send_response_done", "send_response_cancel"}


@pytest.mark.parametrize(("call", "arguments", "keywords", "event"), CALLS)
async def test_event_arrives_as_the_protocol_says(agent, session, call, arguments, keywords, event):
    if call in NEED_AN_ACTIVE_RESPONSE:
        await agent.send_response_start("r", "p")
    await getattr(agent, call)(*arguments, **keywords)
    assert await session.wait_for(event["event"]) == event


def test_every_send_call_is_covered():
    calls = {name for name in dir(AvatarAgent) if name.startswith("send_")}
    assert calls == {call for call, *_ in CALLS} | BINARY_CALLS


@pytest.mark.parametrize(("call", "arguments", "keywords", "_event"), CALLS)
async def test_every_call_before_start_says_so(call, arguments, keywords, _event):
    agent = AvatarAgent(AvatarAgentConfig("sk-1", "a-1"), object())
    with pytest.raises(RuntimeError, match=r"Not connected — call start\(\) first"):
        await getattr(agent, call)(*arguments, **keywords)


async def marker(agent, session):
    """Wait until everything sent so far has arrived."""
    await agent.send_custom_event(None, "test.marker")
    await session.wait_for("test.marker")


def arrived_frames(session):
    binaries = [entry.data for entry in session.transcript if entry.kind == "binary"]
    return [AudioFrame.unpack(data) for data in binaries]


async def test_audio_frame_or_its_bytes(agent, session):
    frame = AudioFrame(
        seq=100, timestamp=5000, sample_rate=1, samples=2, payload=b"\x01\x02\x03\x04"
    )
    built = AudioFrameBuilder().mono().sample_rate_24k().samples(2).payload(b"\x05\x06\x07\x08")
    await agent.send_audio_frame(frame)
    await agent.send_audio_frame(built.build())
    await agent.send_audio_frame(bytearray(built.build()))
    await marker(agent, session)
    sent = [entry.data for entry in session.transcript if entry.kind == "binary"]
    assert sent == [frame.pack(), built.build(), built.build()]
    assert session.pcm == b"\x01\x02\x03\x04" + b"\x05\x06\x07\x08" * 2


async def test_image_frame_or_its_bytes(agent, session):
    frame = ImageFrame(format=1, image_id=7, width=2, height=3, payload=b"png")
    built = ImageFrameBuilder().jpeg().quality(70).image_id(8).size(4, 5).payload(b"jpg").build()
    await agent.send_image_frame(frame)
    await agent.send_image_frame(built)
    await marker(agent, session)
    assert session.images == [frame, ImageFrame.unpack(built)]


async def test_audio_is_framed_across_calls_and_turns(agent, session):
    pcm = bytes(range(256)) * 30  # 7,680 bytes: 160 ms at 24 kHz
    await agent.send_response_audio_start("r1", "p1")
    await agent.send_audio(pcm)
    await agent.send_audio(pcm[:100])
    await agent.send_response_audio_finish("r1", "p1")
    await agent.send_prompt_audio_start()
    await agent.send_audio(memoryview(pcm))
    await agent.send_audio(array.array("h", [1, -1]), sample_rate=48000, channels=2, frame_ms=20)
    await marker(agent, session)
    frames = arrived_frames(session)
    assert session.pcm == pcm + pcm[:100] + pcm + array.array("h", [1, -1]).tobytes()
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    # 160 ms, then 50 samples of 24 kHz (2 ms, rounded down), then 160 ms more.
    assert [frame.timestamp for frame in frames] == [0, 40, 80, 120, 160, 162, 202, 242, 282, 322]
    assert [frame.key for frame in frames] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert [frame.samples for frame in frames] == [960] * 4 + [50] + [960] * 4 + [1]
    assert (frames[-1].sample_rate, frames[-1].channel, frames[0].sample_rate) == (2, 1, 1)


async def test_all_frames_of_a_call_leave_in_one_write(agent, session, dials, monkeypatch):
    writes = []
    connection = dials.last
    original = connection.write_batch
    monkeypatch.setattr(
        type(connection),
        "write_batch",
        lambda _, wire: writes.append(len(wire)) or original(wire),
    )
    await agent.send_audio(bytes(48000))
    assert len(writes) == 1
    await agent.send_audio(b"")
    assert len(writes) == 1


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


HOLDS_ITSELF = {}
HOLDS_ITSELF["me"] = HOLDS_ITSELF


@pytest.mark.parametrize(
    ("call", "arguments", "keywords", "error", "words"),
    [
        ("send_audio", (b"\0" * 3,), {}, ValueError, "whole 16-bit samples of 1 channel"),
        ("send_audio", (b"\0" * 6,), {"channels": 2}, ValueError, "of 2 channel"),
        ("send_audio", (b"\0" * 4,), {"channels": 3}, ValueError, "channels"),
        ("send_audio", (b"\0" * 4,), {"sample_rate": 22050}, ValueError, "22050"),
        ("send_audio", (b"\0" * 4,), {"frame_ms": 0}, ValueError, "frame_ms"),
        ("send_audio", (b"\0" * 4,), {"frame_ms": 500}, ValueError, "frame_ms"),
        ("send_audio", ("text",), {}, TypeError, "str"),
        ("send_audio", (array.array("f", [0.5]),), {}, TypeError, "16-bit integers, not floats"),
        ("send_audio", (None,), {}, TypeError, "NoneType"),
        ("send_audio_frame", (b"",), {}, ValueError, "no known frame"),
        ("send_audio_frame", (b"\0" * 640,), {}, ValueError, "raw PCM goes to send_audio"),
        ("send_audio_frame", (AudioFrame(payload=b"ab").pack()[:-1],), {}, ValueError, "truncated"),
        ("send_audio_frame", (ImageFrame().pack(),), {}, ValueError, "image frame"),
        ("send_audio_frame", (AudioFrame().pack() + b"x",), {}, ValueError, "bytes after"),
        ("send_audio_frame", ("text",), {}, TypeError, "AudioFrame or its packed bytes, not str"),
        ("send_audio_frame", (7,), {}, TypeError, "not int"),
        ("send_audio_frame", (AudioFrame(payload=bytes(65_528)),), {}, ValueError, "65,536"),
        ("send_image_frame", (ImageFrame(payload=bytes(65_525)),), {}, ValueError, "compress"),
        ("send_image_frame", (AudioFrame().pack(),), {}, ValueError, "audio frame: an image file"),
        ("send_image_frame", (JPEG,), {}, ValueError, "a JPEG file, not a packed ImageFrame: an"),
        ("send_image_frame", (PNG,), {}, ValueError, r"PNG file.* send_image_frame\(ImageFrame\("),
        (
            "send_image_frame",
            (b"RIFF\xf4\1\0\0WEBPVP8 " + bytes(99),),
            {},
            ValueError,
            "a WebP file",
        ),
        ("send_image_frame", (b"GIF89a" + bytes(99),), {}, ValueError, "a GIF file"),
        ("send_image_frame", (b"BM" + bytes(99),), {}, ValueError, "a BMP file"),
        (
            "send_image_frame",
            (ImageFrame().pack()[:-1],),
            {},
            ValueError,
            "not a packed ImageFrame",
        ),
        ("send_audio_frame", (PNG,), {}, ValueError, "a PNG file, not a packed AudioFrame"),
        ("send_custom_event", (None, ""), {}, ValueError, "event must be a name"),
        ("send_custom_event", (None, 3), {}, TypeError, "event must be str"),
        ("send_custom_event", (3, "x"), {}, TypeError, "request_id must be str"),
        ("send_custom_event", (None, "x", [1]), {}, TypeError, "data must be a dict"),
        ("send_custom_event", (None, "x", {"y": {1}}), {}, TypeError, "x: cannot be written"),
        ("send_custom_event", (None, "x", {"y": [float("nan")]}), {}, ValueError, "finite"),
        ("send_prompt", ("x", {"y": float("inf")}), {}, ValueError, r"metadata\['y'\] must be"),
        (
            "send_custom_event",
            (None, "x", {"y": [2**70]}),
            {},
            ValueError,
            r"data\['y'\]\[0\] must",
        ),
        ("send_custom_event", (None, "x", nested(5000)), {}, ValueError, "data has more than 250"),
        ("send_prompt", ("x", nested(5000)), {}, ValueError, "metadata has more than 250 levels"),
        ("send_interrupt", ("r", HOLDS_ITSELF), {}, ValueError, "metadata .*, or holds itself"),
        ("send_voice_start", ("r", {"y": -(2**70)}), {}, ValueError, "of 71 bits: JSON cannot"),
        ("send_response_chunk", ("r", "p", 0, 2**70, "x"), {}, ValueError, "'timestamp'. must be"),
        ("send_asr_partial", ("r", "x", 2**70), {}, ValueError, r"asr.partial\['seq'\] must be"),
        ("send_response_start", ("r", "p"), {"speed": 10**400}, ValueError, "speed must be within"),
        ("send_response_chunk", ("r", "p", 0, 0, b"x"), {}, TypeError, "text must be str"),
        ("send_response_start", ("r", "p"), {"speed": float("nan")}, ValueError, "speed"),
        ("send_asr_final", ("r", "x"), {"metadata": {"text": 1}}, ValueError, "reserved"),
    ],
)
async def test_bad_input_is_refused_and_the_session_goes_on(
    agent, session, call, arguments, keywords, error, words
):
    with pytest.raises(error, match=words):
        await getattr(agent, call)(*arguments, **keywords)
    await marker(agent, session)
    received = [entry for entry in session.transcript if entry.direction == "received"]
    assert len(received) == 2, "session.ready and the marker, nothing else"


async def test_a_chunk_that_was_refused_for_its_numbers_can_be_sent_again(agent, session):
    with pytest.raises(ValueError, match="timestamp"):
        await agent.send_response_chunk("r", "p", 0, 2**70, "x")
    await agent.send_response_chunk("r", "p", 0, 1, "x")
    async with agent.response_stream("r2") as stream:
        with pytest.raises(ValueError, match="timestamp"):
            await stream.send_chunk("x", timestamp=2**70)
        await stream.send_chunk("y", timestamp=1)
    await marker(agent, session)
    texts = [entry.data for entry in session.transcript if entry.kind == "text"]
    chunks = [event for event in map(decode, texts) if event["event"] == "response.chunk"]
    assert [(chunk["requestId"], chunk["seq"]) for chunk in chunks] == [("r", 0), ("r2", 0)]


async def test_a_frame_that_begins_like_an_image_file_is_a_frame(agent, session):
    frame = AudioFrame(channel=0, key=False, seq=0x24D, payload=b"sound!")
    assert frame.pack().startswith(b"BM")
    await agent.send_audio_frame(frame.pack())
    await marker(agent, session)
    assert any(entry.data == frame.pack() for entry in session.transcript if entry.data)


async def test_largest_messages_are_accepted(agent, session):
    await agent.send_audio_frame(AudioFrame(payload=bytes(65_527)))
    await agent.send_image_frame(ImageFrame(payload=bytes(65_524)))
    await marker(agent, session)
    assert len(session.images[0].payload) == 65_524
    assert len(session.pcm) == 65_527


async def test_timestamps_do_not_drift_across_turns(agent, session):
    for _ in range(50):
        await agent.send_response_audio_start("r", "p")
        await agent.send_audio(bytes(2000))  # 1,000 samples: 41.67 ms
        await agent.send_response_audio_finish("r", "p")
    await marker(agent, session)
    frames = arrived_frames(session)
    assert frames[-1].timestamp == (49 * 1000 + 960) * 1000 // 24000
    assert [frame.key for frame in frames] == [1, 0] * 50


async def test_new_session_begins_with_a_key_frame(emulator, agent, session):
    await agent.send_audio(bytes(1920))
    await agent.stop()
    await agent.start()
    await agent.send_audio(bytes(1920))
    await marker(agent, emulator.sessions[1])
    (frame,) = arrived_frames(emulator.sessions[1])
    assert (frame.key, frame.seq, frame.timestamp) == (1, 1, 40)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("send_prompt", ("a\ud83d", {"m": "\udc4d"})),
        ("send_response_start", ("r\ud83d", "p")),
        ("send_response_chunk", ("r", "p", 0, 0, "a\udc4d", {"m\ud83d": 1})),
        ("send_asr_partial", ("r", "a\ud83d", 1)),
        ("send_asr_final", ("r", "a\ud83d")),
        ("send_voice_start", ("r", {"m": "\ud83d"})),
        ("send_interrupt", ("r\ud83d",)),
        ("send_error", ("CODE", "a\ud83d")),
        ("send_custom_event", ("r", "my.event", {"a": ["\ud83d"]})),
        ("send_response_audio_start", ("r", "p", {"m": "\ud83d"})),
    ],
)
async def test_half_a_character_stops_no_call(agent, session, call, arguments):
    before = len(session.events)
    await getattr(agent, call)(*arguments)
    await agent.send_custom_event(None, "test.marker")
    await session.wait_for("test.marker")
    assert "\ufffd" in str(session.events[before])
