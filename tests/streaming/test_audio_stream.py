"""A turn of speech: what a program writes, how it ends, and what a wrong call is told."""

import array
import asyncio
import logging
import threading
from sys import getrefcount

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import FRAME_BYTES, FakeSpeaker, VirtualLoop, new_stream, sound, virtual

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Playout


@pytest.fixture
def speaker():
    return FakeSpeaker()


# What comes in


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from([1, 2]),
)
def test_any_pieces(sizes, paced, channels):
    speaker = FakeSpeaker()
    format_ = PcmFormat(24000, channels)

    @virtual
    async def test():
        data = sound(4000) * 2
        async with new_stream(speaker, written=format_, sent=format_, paced=paced) as stream:
            at = 0
            for size in sizes:
                assert await stream.write(data[at : at + size])
                at += size
        assert speaker.pcm == data[: at - at % format_.frame_bytes]
        frame_bytes = 960 * format_.frame_bytes
        says = [len(pcm) for _, what, pcm in speaker.log if what == "say"]
        assert all(size % frame_bytes == 0 for size in says[:-1])
        playout = await stream.wait_playout(0)
        assert playout.written_ms == playout.sent_ms == format_.ms(len(speaker.pcm))
        assert playout.dropped_ms == 0

    test()


@virtual
async def test_an_odd_last_byte_is_dropped_and_told(speaker, caplog):
    with caplog.at_level(logging.WARNING):
        async with new_stream(speaker) as stream:
            await stream.write(sound(40) + b"x")
    assert speaker.pcm == sound(40)
    assert stream.written_ms == 40
    assert "no whole sample" in caplog.text


@pytest.mark.parametrize(
    "pcm", [bytearray(sound(80)), memoryview(sound(80)), array.array("h", sound(80))]
)
def test_any_buffer_and_no_change_afterwards(speaker, pcm):
    @virtual
    async def test():
        async with new_stream(speaker) as stream:
            await stream.write(sound(400))
            await stream.write(pcm)
            if isinstance(pcm, bytearray):
                pcm[:] = bytes(len(pcm))
        assert speaker.pcm == sound(400) + sound(80)

    test()


@virtual
async def test_bytes_are_kept_by_reference(speaker):
    async with new_stream(speaker) as stream:
        pcm = sound(4000)
        await stream.write(pcm)
        assert stream._timeline.front(1).obj is pcm
        await stream.interrupt()


@virtual
async def test_a_turn_that_is_over_holds_no_sound(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        pcm = sound(4000)
        ours = getrefcount(pcm)  # whether the call's own is among them depends on the version
        await stream.write(pcm)
        speaker.log.clear()
        assert getrefcount(pcm) > ours
        await stream.interrupt()
        assert getrefcount(pcm) == ours


@virtual
async def test_what_is_no_sound_is_refused(speaker):
    async with new_stream(speaker) as stream:
        with pytest.raises(TypeError, match="not str"):
            await stream.write("sound")
        with pytest.raises(TypeError, match="not floats"):
            await stream.write(array.array("f", [0.5]))
        assert stream.is_open
        assert stream.written_ms == 0


@virtual
async def test_play_takes_iterables(speaker):
    async def source():
        yield sound(40)
        yield sound(80)

    async with new_stream(speaker) as stream:
        assert await stream.play([sound(40), bytearray(sound(40))])
        assert await stream.play(source())
        with pytest.raises(TypeError, match="one piece goes to write"):
            await stream.play(sound(40))
    assert stream.sent_ms == 200


@virtual
async def test_play_stops_when_the_turn_has_ended(speaker):
    taken = []

    def source():
        for n in range(10):
            taken.append(n)
            yield sound(40)

    async def async_source():
        for pcm in source():
            yield pcm

    async with new_stream(speaker) as stream:
        await stream.interrupt()
        assert not await stream.play(source())
        assert not await stream.play(async_source())
    assert taken == [0, 0]


def test_write_from_a_thread():
    speaker = FakeSpeaker()
    results = []

    async def main():
        async with new_stream(speaker, lead_ms=40, batch_ms=40, buffer_ms=0) as stream:
            with pytest.raises(RuntimeError, match="would block the event loop"):
                stream.write_threadsafe(sound(40))

            def synthesise():
                results.extend(stream.write_threadsafe(sound(20), timeout=5) for _ in range(6))

            thread = threading.Thread(target=synthesise)
            thread.start()
            await asyncio.to_thread(thread.join)
            await stream.finish()
            results.append(await asyncio.to_thread(stream.write_threadsafe, sound(20)))
        return stream

    stream = asyncio.run(main())
    assert results == [True] * 6 + [False]
    assert speaker.pcm == (sound(20) * 6)
    assert stream.write_threadsafe(sound(20)) is False, "the loop is gone"


def test_a_thread_that_writes_when_the_program_ends_is_told(speaker):
    results = []

    def synthesise(stream):
        results.append(stream.write_threadsafe(sound(5000)))

    async def main():
        stream = await new_stream(speaker, buffer_ms=0).__aenter__()
        thread = threading.Thread(target=synthesise, args=(stream,))
        thread.start()
        while not stream.written_ms:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return thread

    asyncio.run(main()).join(10)
    assert results == [False]


@virtual
async def test_a_write_with_a_limit_waits_first(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker, buffer_ms=1000) as stream:
        begin = loop.time()
        assert await stream.write(sound(2000), timeout=0.1)
        assert loop.time() == begin
        with pytest.raises(TimeoutError, match=r"within 0\.1 s: 1600 ms are queued.*nothing of it"):
            await stream.write(sound(40), timeout=0.1)
        assert loop.time() - begin == pytest.approx(0.1)
        assert stream.written_ms == 2000
        assert await stream.write(sound(40), timeout=5)
        assert loop.time() - begin == pytest.approx(0.6, abs=0.005)
    assert speaker.pcm == sound(2000) + sound(40)


@pytest.mark.parametrize("waits_for", ["room", "a connection", "the end of a pause", "a gap"])
@pytest.mark.parametrize("timeout", [None, 60])
def test_an_interrupt_ends_a_write_at_once(speaker, waits_for, timeout):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        keep_ms = 0 if waits_for == "a gap" else 2000
        async with new_stream(speaker, buffer_ms=500, keep_ms=keep_ms) as stream:
            await stream.write(sound(400))
            if waits_for == "the end of a pause":
                stream.pause()
            elif waits_for != "room":
                stream.hold(drop=waits_for == "a gap")
            await stream.write(sound(800), timeout=30)
            writing = asyncio.create_task(stream.write(sound(2000), timeout=timeout))
            await asyncio.sleep(0.05)
            begin = loop.time()
            assert not writing.done()
            stream.interrupt_nowait()
            assert await writing is False
            assert loop.time() == begin
        playout = await stream.wait_playout()
        assert playout.written_ms == 3200
        assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)

    test()


# How it ends


@virtual
async def test_interrupt(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker) as stream:
        await stream.write(sound(2300))
        await asyncio.sleep(0.3)
        begin = loop.time()
        playout = await stream.interrupt()
        assert loop.time() == begin
        assert not stream.is_open
        assert not await stream.write(sound(100))
    assert speaker.words == ["start", "say", "say", "interrupt", "finish"]
    assert playout == Playout("interrupted", 2300, 600, 1700, pytest.approx(300, abs=5))
    assert await stream.wait_playout() == Playout("interrupted", 2400, 600, 1800, playout.played_ms)
    await asyncio.sleep(10)
    assert speaker.words[-1] == "finish"
    assert stream.position_ms == playout.played_ms


@virtual
async def test_interrupt_with_ten_megabytes_queued(speaker):
    async with new_stream(speaker, buffer_ms=1_000_000) as stream:
        await stream.write(bytes(10_000_000))
        playout = await stream.interrupt()
        await asyncio.sleep(5)
    assert speaker.words == ["start", "say", "interrupt", "finish"]
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert playout.sent_ms == 400


@virtual
async def test_interrupt_from_a_callback(speaker):
    told = []
    async with new_stream(speaker) as stream:
        writing = asyncio.create_task(stream.write(sound(5000)))
        asyncio.get_running_loop().call_later(0.3, lambda: told.append(stream.interrupt_nowait()))
        assert await writing is False
        with pytest.raises(TypeError):
            stream.interrupt_nowait("VOICE_AND_ACCOMPANIMENT")
    assert speaker.words == ["start", "say", "say", "interrupt", "finish"]
    assert told == [Playout("interrupted", 5000, 600, 4400, pytest.approx(300, abs=5))]
    assert stream.interrupt_nowait() == told[0]


@virtual
async def test_interrupt_from_a_callback_takes_what_interrupt_takes(speaker):
    async with new_stream(speaker) as stream:
        with pytest.raises(ValueError, match="ELSEWHERE leaves the turn alone"):
            stream.interrupt_nowait(scope="ELSEWHERE")
        assert stream.interrupt_nowait(notify=False).reason == "interrupted"
    assert speaker.words == ["start", "finish"]


@virtual
async def test_finish_from_a_callback(speaker):
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(1000))
        stream.finish_nowait()
        assert loop.time() == begin
        assert not stream.is_open
        assert await stream.write(sound(100)) is False
        stream.finish_nowait()  # once more is once
        assert speaker.words == ["start", "say"]
    assert speaker.words == ["start", "say", "say", "say", "say", "finish"]
    assert speaker.pcm == sound(1000)
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_a_turn_finished_from_a_callback_completes_without_its_caller(speaker):
    stream = await new_stream(speaker, grace_s=None).__aenter__()
    await stream.write(sound(1000))
    asyncio.get_running_loop().call_soon(stream.finish_nowait)
    assert (await stream.wait_playout()).sent_ms == 1000
    assert speaker.words[-1] == "finish"


@virtual
async def test_interrupt_frees_whoever_writes(speaker):
    async with new_stream(speaker, buffer_ms=0) as stream:
        writing = asyncio.create_task(stream.write(sound(5000)))
        await asyncio.sleep(0.1)
        assert not writing.done()
        await stream.interrupt()
        assert await writing is False


@virtual
async def test_interrupt_twice_is_once(speaker):
    async with new_stream(speaker) as stream:
        first = await stream.interrupt()
        assert await stream.interrupt() == first
    assert speaker.words == ["start", "interrupt", "finish"]


@virtual
async def test_interrupt_without_telling(speaker):
    async with new_stream(speaker) as stream:
        await stream.interrupt(notify=False)
    assert speaker.words == ["start", "finish"]


@virtual
async def test_interrupt_scope(speaker):
    async with new_stream(speaker) as stream:
        with pytest.raises(ValueError, match="ELSEWHERE leaves the turn alone"):
            await stream.interrupt(scope="ELSEWHERE")
        assert stream.is_open
        await stream.interrupt(scope="VOICE_AND_ACCOMPANIMENT")
    assert speaker.words == ["start", "interrupt VOICE_AND_ACCOMPANIMENT", "finish"]


@virtual
async def test_interrupt_while_the_tail_plays(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(400))
    await asyncio.sleep(0.1)
    playout = await stream.interrupt()
    assert speaker.words == ["start", "say", "finish", "interrupt"]
    assert playout == Playout("interrupted", 400, 400, 0, pytest.approx(100, abs=5))


@virtual
async def test_an_exception_interrupts(speaker):
    stream = new_stream(speaker)

    async def turn():
        async with stream:
            await stream.write(sound(1000))
            raise KeyError

    with pytest.raises(KeyError):
        await turn()
    assert speaker.words == ["start", "say", "interrupt", "finish"]
    assert (await stream.wait_playout()).reason == "interrupted"


@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_a_cancellation_interrupts(speaker, seconds):
    """Within the body, and while leaving it."""

    @virtual
    async def test():
        async def turn():
            async with new_stream(speaker, buffer_ms=1200) as stream:
                await stream.write(sound(2000))

        task = asyncio.create_task(turn())
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert speaker.words[-2:] == ["interrupt", "finish"]
        count = len(speaker.log)
        await asyncio.sleep(5)
        assert len(speaker.log) == count

    test()


@virtual
async def test_a_cancellation_stops_what_still_plays(speaker):
    async def turn():
        async with new_stream(speaker, paced=False) as stream:
            await stream.write(sound(5000))
            await stream.finish()
            await stream.wait_playout()

    task = asyncio.create_task(turn())
    await asyncio.sleep(1)
    assert speaker.words[-1] == "finish"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert speaker.words[-1] == "interrupt"


@virtual
async def test_an_exception_after_the_playout_says_nothing(speaker):
    async def turn():
        async with new_stream(speaker, grace_s=None) as stream:
            await stream.write(sound(100))
            await stream.finish()
            await stream.wait_playout()
            raise KeyError

    with pytest.raises(KeyError):
        await turn()
    assert speaker.words[-1] == "finish"


@virtual
async def test_lost_while_it_is_paced(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1000))
        speaker.is_lost = True
        await asyncio.sleep(1)
        assert not await stream.write(sound(10))
    playout = await stream.wait_playout()
    assert playout.reason == "lost"
    assert playout.written_ms == 1010
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms


@virtual
async def test_lost_while_it_waits_for_room(speaker):
    async with new_stream(speaker) as stream:
        speaker.room.clear()
        await stream.write(sound(1000))
        speaker.is_lost = True
        speaker.room.set()
    assert (await stream.wait_playout()).reason == "lost"


@virtual
async def test_lost_while_it_is_interrupted(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1000))
        speaker.is_lost = True
        assert (await stream.interrupt()).reason == "lost"


# Misuse


async def test_not_entered(speaker):
    stream = new_stream(speaker)
    for call in (
        stream.write(b"xx"),
        stream.finish(),
        stream.interrupt(),
        stream.wait_playout(),
        asyncio.to_thread(stream.write_threadsafe, b"xx"),
    ):
        with pytest.raises(RuntimeError, match="async with"):
            await call
    for sync_call in (stream.finish_nowait, stream.interrupt_nowait):
        with pytest.raises(RuntimeError, match="async with"):
            sync_call()
    assert speaker.log == []


@virtual
async def test_a_stream_is_one_turn(speaker):
    stream = new_stream(speaker)
    async with stream:
        pass
    with pytest.raises(RuntimeError, match="one turn"):
        async with stream:
            pass
    assert speaker.words == ["start", "finish"]


@virtual
async def test_repr_holds_no_sound(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1000))
        assert repr(stream) == "<AudioStream 'response' open, 400 of 1000 ms sent>"
        await stream.interrupt()


def test_frame_bytes_are_what_the_tests_say():
    assert len(sound(40)) == FRAME_BYTES
    VirtualLoop().close()


@virtual
async def test_in_a_gap_that_drops_a_source_is_no_faster_than_sound():
    """One without an end would let nothing else happen; another would lose all of its sound."""
    stream = new_stream(FakeSpeaker(), keep_ms=0)
    async with stream:
        await stream.write(sound(400))
        stream.hold(drop=True)
        begun_s = asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_later(5, stream.go_on)
        written_s = 0
        while asyncio.get_running_loop().time() - begun_s < 5:
            assert await stream.write(sound(1000))
            written_s += 1
        # What a queue would have held, and what would have been played meanwhile.
        assert written_s <= 5 + 2 + 1
        await stream.interrupt()
    playout = await stream.wait_playout()
    assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
