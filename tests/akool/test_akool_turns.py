"""Turns of speech over a real socket: what arrives, in which order, and what is told."""

import array
import asyncio
import itertools
import json
import math
import random
import struct
import sys
import time

import pauses
import pybase64
import pytest
from recording import AGORA, client_for

from avatarwire import MissingExtraError, akool
from avatarwire.streaming import Playout

FAST = {"paced": False}
MESSAGE_BYTES = 2048  # 64 ms


def sound(seconds, rate=16000, seed=1):
    return random.Random(seed).randbytes(round(seconds * rate) * 2)  # noqa: S311


def sizes(session):
    """Give the bytes of sound in each message."""
    return [
        len(pybase64.b64decode(message["pld"]["audio"]))
        for message in session.messages
        if message["type"] == "chat"
    ]


def kinds(session):
    """Give what arrived, in order; a run of sound is one."""
    names = (
        message["pld"].get("cmd") or message["pld"].get("event") or message["type"]
        for message in session.messages
    )
    return [name for name, _ in itertools.groupby(names) if name not in {"ping", "set-params"}]


async def settled(client):
    """Wait until everything sent so far has arrived."""
    await client.set_agora_params(**AGORA)


async def endless(pcm, pause_s=0.001):
    while True:
        await asyncio.sleep(pause_s)
        yield pcm


async def abandon(turn):
    async with turn:
        await turn.write(sound(2))
        raise KeyError


async def test_a_turn(client, session):
    pcm = sound(1.003)
    begun_s = time.monotonic()
    async with client.audio_stream() as turn:
        assert await turn.write(pcm)
    assert await turn.wait_playout(10) == Playout("completed", 1003, 1003, 0, 1003)
    # Nobody tells: it is over when the clock says so.
    assert time.monotonic() - begun_s >= 1.003
    assert bytes(session.pcm) == pcm
    assert sizes(session) == [MESSAGE_BYTES] * 15 + [len(pcm) - 15 * MESSAGE_BYTES]
    assert kinds(session) == ["chat"]
    assert turn.request_id == ""


async def test_it_has_begun_when_its_first_sound_is_sent(client):
    begun = asyncio.Event()
    async with client.audio_stream(on_started=begun.set) as turn:
        assert not await turn.wait_started(0)
        await turn.write(sound(0.5))
        assert await turn.wait_started(0)
        await asyncio.wait_for(begun.wait(), 5)
    assert 0 <= (await turn.wait_playout(10)).started_ms < 100


async def test_what_was_heard_of_an_interrupted_turn(client):
    marks, runs = [], []
    stream = client.audio_stream(on_mark=marks.append, on_progress=runs.append)
    async with stream as turn:
        await turn.write(sound(0.4), text="Hello there, ")
        turn.mark("first")
        await turn.write(sound(2), words=[("how", 0), ("are", 1000), ("you?", 1500)])
        await asyncio.sleep(0.7)
        playout = turn.interrupt_nowait()
    assert (playout.heard, playout.heard_text) == (("first",), "Hello there, how")
    await asyncio.sleep(0)
    assert marks == ["first"]
    assert sum(run.to_ms - run.from_ms for run in runs) == pytest.approx(playout.played_ms, abs=0.1)


async def test_pauses_at_twenty_places(emulator):
    async def turn(chance):
        client = client_for(emulator, session_id=f"session-{chance.random()}")
        await client.connect()
        session = next(s for s in emulator.sessions if s.session_id == client.session_id)
        pcm = chance.randbytes(round(pauses.SOUND_S * 32_000))
        stream = client.audio_stream(buffer_ms=9000)
        paused_s, playout = await pauses.pause_once(stream, pcm, chance, ready)
        assert playout == Playout("completed", 2000, 2000, 0, 2000)
        assert stream.underruns == 0
        await client.disconnect()
        received = [
            (entry.time_s, json.loads(entry.data))
            for entry in session.transcript
            if entry.direction == "received"
        ]
        said = [
            (at_s, pybase64.b64decode(message["pld"]["audio"]))
            for at_s, message in received
            if message["type"] == "chat"
        ]
        (stopped_s,) = [
            at_s
            for at_s, message in received
            if message["type"] == "command" and message["pld"].get("cmd") == "interrupt"
        ]
        pauses.check_what_was_heard(pcm, 32_000, said, stopped_s, paused_s)

    ready = asyncio.Barrier(20)
    async with asyncio.TaskGroup() as turns:
        for chance in pauses.places(20):
            turns.create_task(turn(chance))


@pytest.mark.parametrize("how", ["interrupt", "cut", "stop"])
async def test_what_ends_a_pause(client, session, how):
    async with client.audio_stream() as turn:
        await turn.write(sound(1.5))
        await asyncio.sleep(0.5)
        turn.pause()
        position_ms = turn.position_ms
        await asyncio.sleep(0.1)
        if how == "interrupt":
            turn.interrupt_nowait()
        elif how == "stop":
            await client.disconnect()
        else:
            session.cut()
            await client.wait_closed()
    playout = await turn.wait_playout(5)
    assert playout.reason == ("interrupted" if how == "interrupt" else "lost")
    assert playout.played_ms == pytest.approx(position_ms)
    assert playout.sent_ms == pytest.approx(position_ms)


async def test_a_pause_ends_what_still_plays_before_it(client):
    """The interrupt stops all."""
    async with client.audio_stream() as first:
        await first.write(sound(0.4))
    async with client.audio_stream() as second:
        with pytest.raises(RuntimeError, match="is open"):
            first.pause()
        await second.write(sound(0.5))
        second.pause()
        assert (await first.wait_playout(0)).reason == "interrupted"
        second.resume()
    assert (await second.wait_playout(5)).sent_ms == 500


async def test_it_is_paced(client, session):
    begun_s = time.monotonic()
    async with client.audio_stream(lead_ms=192, batch_ms=64) as turn:
        await turn.write(sound(1))
    received = [e for e in session.transcript if e.direction == "received" and "chat" in e.data]
    for count, entry in enumerate(received, start=1):
        # Sound leaves no earlier than its lead before it is played; later it may.
        assert entry.time_s - begun_s >= count * 0.064 - 0.192 - 0.01
    assert (await turn.wait_playout(10)).reason == "completed"


async def test_any_pieces_and_another_size_of_message(client, session):
    pcm = sound(0.5)
    async with client.audio_stream(frame_ms=20, **FAST) as turn:
        for at in range(0, len(pcm), 333):
            await turn.write(pcm[at : at + 333])
    await settled(client)
    assert bytes(session.pcm) == pcm
    assert sizes(session) == [640] * 25


async def test_a_batch_is_one_write(client, session, dials, monkeypatch):
    connection = dials.last
    writes = []
    write = connection.write_batch

    def count(wire):
        writes.append(wire)
        return write(wire)

    monkeypatch.setattr(type(connection), "write_batch", lambda _, wire: count(wire))
    async with client.audio_stream() as turn:
        await turn.write(sound(0.384))
        assert len(writes) == 1
    await settled(client)
    assert sizes(session) == [MESSAGE_BYTES] * 6


@pytest.mark.parametrize(
    ("rate", "channels"), [(24000, 1), (22050, 1), (8000, 1), (44100, 2), (16000, 2), (48000, 1)]
)
async def test_any_rate_in(client, session, rate, channels):
    frames = ((int(12000 * math.sin(2 * math.pi * 440 * n / rate)), 0) for n in range(rate))
    pcm = b"".join(struct.pack(f"<{channels}h", *frame[:channels]) for frame in frames)
    async with client.audio_stream(sample_rate=rate, channels=channels, **FAST) as turn:
        for at in range(0, len(pcm), 1001):
            assert await turn.write(pcm[at : at + 1001])
    assert await turn.wait_playout(10) == Playout("completed", 1000, 1000, 0, 1000)
    samples = array.array("h", bytes(session.pcm))
    assert len(samples) == 16000
    crossings = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    assert crossings == pytest.approx(440, abs=2)
    assert max(samples) == pytest.approx(12000 / channels, rel=0.02)


# Interruption


async def test_interrupt(client, session):
    async with client.audio_stream(buffer_ms=3_600_000) as turn:
        await turn.write(bytes(10_000_000))
        playout = await turn.interrupt()
        assert not await turn.write(bytes(2048))
    await settled(client)
    assert kinds(session) == ["chat", "interrupt"]
    assert playout.reason == "interrupted"
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert playout.sent_ms * 32 == len(session.pcm)


async def test_the_clients_interrupt_ends_the_open_turn(client, session):
    async with client.audio_stream() as turn:
        await turn.write(sound(2))
        await client.interrupt()
        assert not turn.is_open
    playout = await turn.wait_playout()
    assert (playout.reason, playout.sent_ms * 32) == ("interrupted", len(session.pcm))
    assert kinds(session) == ["chat", "interrupt"]


async def test_an_interrupt_ends_a_turn_that_is_still_played(client, session):
    async with client.audio_stream(**FAST) as played:
        await played.write(sound(5))
    async with client.audio_stream(**FAST) as turn:
        await turn.write(sound(5))
        await turn.interrupt()
    assert (await played.wait_playout()).reason == "interrupted"
    assert (await played.wait_playout()).played_ms < 5000
    await settled(client)
    assert kinds(session) == ["chat", "interrupt"]


async def test_without_notice_the_platform_plays_on(client, session):
    async with client.audio_stream() as turn:
        await turn.write(sound(2))
        assert (await turn.interrupt(notify=False)).reason == "interrupted"
    await settled(client)
    assert kinds(session) == ["chat"]


async def test_an_interrupt_has_no_scope(client, session):
    async with client.audio_stream() as turn:
        await turn.write(sound(0.1))
        with pytest.raises(ValueError, match="has no scope, not 'VOICE_AND_ACCOMPANIMENT'"):
            await turn.interrupt(scope="VOICE_AND_ACCOMPANIMENT")
        assert turn.is_open
    await settled(client)
    assert kinds(session) == ["chat"]


async def test_an_exception_interrupts(client, session):
    turn = client.audio_stream()
    with pytest.raises(KeyError):
        await abandon(turn)
    assert (await turn.wait_playout()).reason == "interrupted"
    await settled(client)
    assert kinds(session) == ["chat", "interrupt"]


# One at a time


async def test_one_open_turn_at_a_time(client, session):
    async with client.audio_stream() as turn:
        for call in (
            client.audio_stream().__aenter__(),
            client.send_audio(sound(0.1)),
            client.send_audio_stream([sound(0.1)]),
            client.send_audio_stream([sound(0.1)], paced=True),
        ):
            with pytest.raises(RuntimeError, match="while the audio stream 'turn-1' is open"):
                await call
        assert turn.is_open
    await client.send_audio(b"abcd")
    await settled(client)
    assert bytes(session.pcm) == b"abcd"


async def test_a_turn_stops_a_stream_of_chunks_under_way(client, session):
    chunks = asyncio.create_task(client.send_audio_stream(endless(sound(0.01))))
    await session.wait_for("chat")
    async with client.audio_stream():
        with pytest.raises(RuntimeError, match="send_audio_stream while the audio stream"):
            await asyncio.wait_for(chunks, 5)


# The end of the connection


@pytest.mark.parametrize("reconnect", [False, True])
async def test_a_lost_connection_ends_the_turn(emulator, recorder, reconnect):
    client = recorder.listen_to(client_for(emulator, reconnect=reconnect))
    states = []
    await client.connect()
    (session,) = emulator.sessions
    async with client.audio_stream() as turn:
        client.on_disconnected = lambda: states.append(turn.is_resolved)
        await turn.write(sound(1))
        waiting = asyncio.create_task(turn.wait_playout())
        session.cut()
        playout = await asyncio.wait_for(waiting, 5)
        assert not await turn.write(sound(1))
    assert playout.reason == "lost"
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms == 1000
    if reconnect:
        await recorder.wait_for("connected", 2)
        async with client.audio_stream(**FAST) as turn:
            await turn.write(sound(0.1))
        assert (await turn.wait_playout(10)).reason == "completed"
    else:
        with pytest.raises(akool.ConnectionError, match="not connected"):
            async with client.audio_stream():
                pass
    await client.disconnect()
    assert states[0] is True


async def test_disconnect_ends_the_turn(client, session, caplog):
    async with client.audio_stream() as turn:
        await turn.write(sound(1))
        await client.disconnect()
        assert not turn.is_open
    assert (await turn.wait_playout()).reason == "lost"
    assert kinds(session) == ["chat", "leave_channel"]
    assert caplog.records == []


async def test_more_than_the_connection_takes_at_once(client, session):
    pcm = bytes(8_000_000)
    async with asyncio.timeout(20):
        async with client.audio_stream(**FAST) as turn:
            for at in range(0, len(pcm), 64_000):
                assert await turn.write(pcm[at : at + 64_000])
        await settled(client)
    assert len(session.pcm) == len(pcm)
    await turn.interrupt()


# A source as a turn


async def test_a_source_in_time(client, session):
    pcm = sound(0.6)
    begun_s = time.monotonic()
    chunks = [pcm[:1], pcm[1:3], b"", bytearray(pcm[3:1000]), pcm[1000:]]
    assert await client.send_audio_stream(chunks, paced=True) == len(pcm)
    assert time.monotonic() - begun_s >= 0.2 - 0.01
    await settled(client)
    assert bytes(session.pcm) == pcm
    assert sizes(session)[:-1] == [MESSAGE_BYTES] * 9


async def test_what_comes_before_half_a_sample_is_said(client, session):
    with pytest.raises(akool.AudioStreamError, match="half a 16-bit sample"):
        await client.send_audio_stream([sound(0.1), b"x"], paced=True)
    await settled(client)
    assert bytes(session.pcm) == sound(0.1)
    assert kinds(session) == ["chat"]


async def test_interrupt_ends_a_source_in_time(client, session):
    stream = asyncio.create_task(client.send_audio_stream(endless(sound(0.064)), paced=True))
    await session.wait_for("chat")
    await client.interrupt()
    sent_bytes = await asyncio.wait_for(stream, 5)
    assert kinds(session) == ["chat", "interrupt"]
    assert sent_bytes == len(session.pcm)


async def test_a_cut_fails_a_source_in_time(client, session):
    stream = asyncio.create_task(client.send_audio_stream(endless(sound(0.064)), paced=True))
    await session.wait_for("chat")
    session.cut()
    with pytest.raises(akool.ConnectionError, match="close code 1006"):
        await asyncio.wait_for(stream, 5)


async def test_a_source_needs_a_connection(emulator):
    with pytest.raises(akool.ConnectionError, match="not connected"):
        await client_for(emulator).send_audio_stream([b"ab"], paced=True)


# The flat form


@pytest.fixture
async def flat(emulator):
    client = client_for(emulator, wire="flat")
    await client.connect()
    yield client
    await client.disconnect()


async def test_the_flat_form_drops_what_is_queued_and_says_what_it_cannot(flat, emulator):
    async with flat.audio_stream() as turn:
        await turn.write(sound(2))
        with pytest.raises(akool.AudioStreamError, match='wire="envelope"'):
            await turn.interrupt()
        playout = await turn.interrupt()  # it is over
    assert (playout.reason, playout.dropped_ms > 1000) == ("interrupted", True)
    await flat.disconnect()
    assert playout.sent_ms * 32 == len(emulator.sessions[0].pcm)
    assert {m["type"] for m in emulator.sessions[0].messages} == {"auth", "ping", "audio_data"}


async def test_the_flat_form_plays_what_it_has_before_a_pause(flat, emulator):
    pcm = sound(1)
    async with flat.audio_stream() as turn:
        await turn.write(pcm)
        turn.pause()
        await asyncio.sleep(0.6)
        assert turn.position_ms == turn.sent_ms < 500
        turn.resume()
    assert (await turn.wait_playout(5)).sent_ms == 1000
    assert turn.underruns == 0
    assert bytes(emulator.sessions[0].pcm) == pcm


async def test_the_flat_forms_client_drops_what_is_queued_too(flat):
    async with flat.audio_stream(**FAST) as played:
        await played.write(sound(5))
    async with flat.audio_stream() as turn:
        await turn.write(sound(2))
        with pytest.raises(akool.AudioStreamError, match='wire="envelope"'):
            await flat.interrupt()
    assert (await turn.wait_playout()).reason == "interrupted"
    assert not played.is_resolved  # nothing stops that


async def test_the_flat_form_can_drop_without_a_word(flat):
    async with flat.audio_stream() as turn:
        await turn.write(sound(2))
        assert (await turn.interrupt(notify=False)).reason == "interrupted"


async def test_leaving_the_flat_form_by_an_exception_keeps_that_exception(flat):
    turn = flat.audio_stream()
    with pytest.raises(KeyError):
        await abandon(turn)
    assert (await turn.wait_playout()).reason == "interrupted"


# Arguments


async def test_without_the_extra_one_error_names_it(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "avatarwire.audio._conversion", None)
    with pytest.raises(MissingExtraError, match=r'pip install "avatarwire\[audio\]"'):
        client.audio_stream(sample_rate=22050)
    client.audio_stream()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"sample_rate": 0}, ValueError, "positive rate"),
        ({"sample_rate": 1000}, ValueError, "rate_in"),
        ({"channels": 3}, ValueError, "channels_in"),
        ({"frame_ms": 0}, ValueError, "frame_ms"),
        ({"frame_ms": 64.0}, ValueError, "frame_ms"),
        ({"lead_ms": -1}, ValueError, "lead_ms"),
        ({"buffer_ms": "2"}, TypeError, "buffer_ms"),
    ],
)
async def test_bad_arguments_are_refused_at_once(client, arguments, error, words):
    with pytest.raises(error, match=words):
        client.audio_stream(**arguments)


WAV = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(4780)


async def test_a_file_sent_as_sound_is_told_once_until_the_next_interrupt(client, caplog):
    for count in (1, 2):
        await client.send_audio(WAV)
        await client.send_audio(WAV)
        await client.send_audio_stream([WAV])
        assert caplog.text.count("begins like WAV") == count
        await client.interrupt()
    async with client.audio_stream(paced=False) as stream:
        await stream.write(WAV)
    assert caplog.text.count("begins like WAV") == 3
