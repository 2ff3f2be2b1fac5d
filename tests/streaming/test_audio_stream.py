"""A turn of speech: when it leaves, how it ends, and what becomes of every sample."""

import array
import asyncio
import logging
import threading
from sys import getrefcount

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import FRAME_BYTES, GRACE_S, FakeSpeaker, VirtualLoop, new_stream, sound, virtual

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Playout


@pytest.fixture
def speaker():
    return FakeSpeaker()


# When it leaves


@virtual
async def test_a_turn_in_time(speaker):
    async with new_stream(speaker) as stream:
        assert await stream.write(sound(1000))
        assert stream.position_ms == pytest.approx(0, abs=1e-6)
    assert speaker.words[0] == "start"
    assert speaker.words[-1] == "finish"
    assert speaker.pcm == sound(1000)
    # The lead at once, then a batch whenever it fits; the end leaves at end - lead.
    assert [(round(at), ms) for at, ms in speaker.says] == [
        (0, 400),
        (200, 200),
        (400, 200),
        (600, 200),
    ]
    assert speaker.log[-1][0] == pytest.approx(0.6, abs=0.005)
    assert stream.sent_ms == 1000
    assert stream.position_ms == pytest.approx(600, abs=5)


@virtual
async def test_the_lead_is_a_ceiling(speaker):
    async with new_stream(speaker, lead_ms=300, batch_ms=120) as stream:
        await stream.write(sound(20_000))
    sent_ms = 0
    for at_ms, ms in speaker.says:
        sent_ms += ms
        assert sent_ms - at_ms <= 300.001
        assert sent_ms - ms - at_ms >= 0, "an underrun"
    assert sent_ms == 20_000
    assert stream.underruns == 0


@virtual
async def test_the_last_frame_may_be_short(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1005))
    assert speaker.says[-1] == (pytest.approx(605, abs=5), 5)
    assert speaker.pcm == sound(1005)


@virtual
async def test_a_minute_under_stalls(speaker):
    """15 ms of stall every 50 ms: it ends at 60 s - lead, without an underrun."""
    loop = asyncio.get_running_loop()

    async def stalls():
        while True:
            loop.stall(0.015)
            await asyncio.sleep(0.035)

    stalling = asyncio.create_task(stalls())
    async with new_stream(speaker) as stream:
        for _ in range(600):
            await stream.write(sound(100))
    stalling.cancel()
    assert speaker.log[-1][0] == pytest.approx(60 - 0.4, abs=0.05)
    assert stream.underruns == 0
    assert stream.sent_ms == 60_000


@pytest.mark.parametrize("lead_ms", [80, 100, 120, 200, 240])
def test_a_short_lead_leaves_room_for_a_late_write(speaker, lead_ms):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()

        async def stalls():
            while True:
                loop.stall(0.015)
                await asyncio.sleep(0.035)

        stalling = asyncio.create_task(stalls())
        async with new_stream(speaker, lead_ms=lead_ms) as stream:
            await stream.write(sound(10_000))
        stalling.cancel()
        assert stream.underruns == 0
        assert speaker.log[-1][0] == pytest.approx(10 - lead_ms / 1000, abs=0.05)

    test()


@virtual
async def test_catching_up_after_a_long_stall_goes_no_further_than_the_lead(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker, buffer_ms=5000) as stream:
        await stream.write(sound(3000))
        loop.stall(1.0)
    assert stream.underruns == 1
    assert stream.underrun_ms == pytest.approx(600, abs=5)
    assert [(round(at), ms) for at, ms in speaker.says][:3] == [(0, 400), (1000, 400), (1200, 200)]


@virtual
async def test_lateness_is_counted(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker, buffer_ms=5000) as stream:
        await stream.write(sound(2000))
        await asyncio.sleep(0.3)
        loop.stall(0.15)
    assert sum(stream.lateness.counts) == len(speaker.says) - 1  # the first has no deadline
    assert stream.lateness.max_ms == pytest.approx(50, abs=5)
    assert stream.lateness.percentile_ms(50) <= 5


@virtual
async def test_a_slow_source_is_sent_as_it_comes(speaker):
    async with new_stream(speaker) as stream:
        for _ in range(10):
            await stream.write(sound(40))
            await asyncio.sleep(0.04)
    assert [ms for _, ms in speaker.says] == [40] * 10
    assert [at for at, _ in speaker.says] == pytest.approx([40 * n for n in range(10)], abs=5)


@virtual
async def test_write_waits_while_more_than_the_buffer_is_queued(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker, buffer_ms=1000) as stream:
        begin = loop.time()
        await stream.write(sound(1400))
        assert loop.time() == begin
        assert stream.queued_ms == 1000
        await stream.write(sound(400))
        assert stream.queued_ms <= 1000
        assert loop.time() - begin == pytest.approx(0.4, abs=0.005)
        await stream.interrupt()


@virtual
async def test_unpaced_is_as_fast_as_the_connection(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker, paced=False) as stream:
        begin = loop.time()
        await stream.write(sound(5010))
        assert stream.sent_ms == 5000
    assert loop.time() == begin
    assert speaker.pcm == sound(5010)
    assert all(ms <= 200 for _, ms in speaker.says)
    assert speaker.words[-1] == "finish"


@virtual
async def test_unpaced_leaves_the_event_loop_to_others(speaker):
    """Also when the connection takes everything at once."""
    rounds = 0

    async def others():
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    running = asyncio.create_task(others())
    pcm = bytes(20_000_000)
    async with new_stream(speaker, paced=False) as stream:
        await stream.write(pcm)
    running.cancel()
    assert len(speaker.pcm) == len(pcm)
    assert rounds >= 19
    assert speaker.words[-1] == "finish"


@pytest.mark.parametrize("paced", [True, False])
def test_a_full_connection_makes_it_wait(speaker, paced):
    @virtual
    async def test():
        async with new_stream(speaker, paced=paced, buffer_ms=100) as stream:
            speaker.room.clear()
            writing = asyncio.create_task(stream.write(sound(1000)))
            await asyncio.sleep(10)
            assert not writing.done()
            assert len(speaker.says) == 1
            speaker.room.set()
            assert await writing
        assert speaker.pcm == sound(1000)

    test()


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


@virtual
async def test_what_is_dropped_in_a_gap_is_whole_samples(speaker):
    """Otherwise all that follows would be noise."""
    pcm = sound(1200)
    again = 1921 + 4 * 1001  # within a sample
    speaker.restart = lambda: speaker._note("start")
    async with new_stream(speaker, paced=False) as stream:
        await stream.write(pcm[:1921])
        stream.hold(drop=True)
        for at in range(1921, again, 1001):
            await stream.write(pcm[at : at + 1001])
        stream.go_on()
        await stream.write(pcm[again:])
    assert speaker.pcm == pcm[:1920] + pcm[again - 1 :]
    playout = await stream.wait_playout(0)
    assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
    assert playout.written_ms == 1200


# What was heard


@virtual
async def test_the_watchdog(speaker):
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with new_stream(speaker) as stream:
        await stream.write(sound(2000))
    playout = await stream.wait_playout()
    assert playout == Playout("timed_out", 2000, 2000, 0, 2000)
    assert loop.time() - begin == pytest.approx(2 + GRACE_S, abs=0.01)


@virtual
async def test_the_clock_decides_where_the_platform_says_nothing(speaker):
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(2000))
    assert await stream.wait_playout() == Playout("completed", 2000, 2000, 0, 2000)
    assert loop.time() - begin == pytest.approx(2, abs=0.01)


@virtual
async def test_a_timeout_raises_nothing_and_is_not_the_last_word(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(2000))
    assert (await stream.wait_playout(timeout=0.1)).reason == "timed_out"
    assert stream.end("completed").reason == "completed"
    assert (await stream.wait_playout()).reason == "completed"


@pytest.mark.parametrize("reason", ["failed", "interrupted"])
def test_the_platform_ends_an_open_turn(speaker, reason):
    @virtual
    async def test():
        async with new_stream(speaker) as stream:
            await stream.write(sound(2000))
            stream.end(reason, notify=False)
            assert not await stream.write(sound(10))
        assert speaker.words == ["start", "say", "finish"]
        assert (await stream.wait_playout()).reason == reason

    test()


@virtual
async def test_nothing_is_left_behind(speaker):
    async with new_stream(speaker) as stream:
        speaker.room.clear()
        await stream.write(sound(1000))
        await stream.interrupt()
    await asyncio.sleep(0)
    assert len(stream._pacer) == 0
    assert len(asyncio.all_tasks()) == 1


# Another connection


@virtual
async def test_what_was_not_played_is_sent_again(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.hold()
        assert stream.sent_ms == pytest.approx(80)  # whole frames: one is heard in part again
        assert stream.queued_ms == pytest.approx(920)
        await asyncio.sleep(5)
        assert speaker.words == ["start", "say"]
        stream.go_on()
    stream.end("completed")
    assert speaker.words == ["start", "say", "restart", "say", "say", "say", "say", "finish"]
    again = b"".join(pcm for _, _, pcm in speaker.log[2:])
    assert sound(1000).endswith(again)
    assert len(again) == 920 * 48
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)
    assert stream.lateness.max_ms < 10  # the gap is no fault of the pacer's


@virtual
async def test_the_lost_tail_of_a_finished_turn_is_sent_again(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(280))
    assert speaker.words == ["start", "say", "finish"]
    stream.hold()
    stream.go_on()
    assert speaker.words == ["start", "say", "finish", "restart", "say", "finish"]
    assert (await stream.wait_playout()).sent_ms == 280


@virtual
async def test_a_turn_that_was_played_is_not_begun_again(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(280))
    await asyncio.sleep(1)
    stream.hold()
    stream.go_on()
    assert speaker.words == ["start", "say", "finish"]
    assert (await stream.wait_playout()).reason == "timed_out"


@virtual
async def test_no_more_than_is_kept_is_sent_again(speaker):
    async with new_stream(speaker, keep_ms=80, paced=False) as stream:
        await stream.write(sound(1000))
        stream.hold()
        assert stream.queued_ms == 80
        stream.go_on()
    assert speaker.pcm == sound(1000) + sound(1000)[-80 * 48 :]


@virtual
async def test_a_write_that_fails_waits_for_another_connection(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        speaker.is_lost = True
        await asyncio.sleep(1)  # the next write fails; nobody has said what comes
        assert stream.is_open
        assert await stream.write(sound(100))
        stream.hold()
        speaker.is_lost = False
        stream.go_on()
    heard = b"".join(pcm for _, _, pcm in speaker.log[2:])
    assert (sound(1000) + sound(100)).endswith(heard)
    assert (await stream.wait_playout(0)).dropped_ms == 0


@virtual
async def test_what_the_gap_swallows_is_dropped_and_counted(speaker):
    async with new_stream(speaker, keep_ms=0) as stream:
        await stream.write(sound(1000))
        stream.hold(drop=True)
        assert await stream.write(sound(500))
        stream.go_on()
        assert await stream.write(sound(200))
    playout = await stream.wait_playout(0)
    assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (1700, 600, 1100)


@virtual
async def test_an_interrupt_in_the_gap(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        stream.hold()
        playout = await stream.interrupt()
        stream.go_on()
    assert speaker.words == ["start", "say", "interrupt", "finish"]
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms


@virtual
async def test_lost_again_while_it_goes_on(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        stream.hold()
        speaker.is_lost = True
        stream.go_on()
        speaker.is_lost = False
        stream.hold()
        stream.go_on()
    assert stream.sent_ms == 1000


# Converted sound


class HalfRate:
    """Drops every second sample, and holds one back until the end."""

    def __init__(self):
        self._held = b""

    def push(self, pcm):
        data = self._held + bytes(pcm)
        whole = max(0, (len(data) - 4) // 4 * 4)
        self._held = data[whole:]
        return b"".join(data[at : at + 2] for at in range(0, whole, 4))

    def flush(self):
        data = self._held[: len(self._held) // 2 * 2]
        return b"".join(data[at : at + 2] for at in range(0, len(data), 4))


@virtual
async def test_converted_sound_is_accounted_for_in_full(speaker):
    fine = PcmFormat(48000)
    async with new_stream(speaker, written=fine, converter=HalfRate()) as stream:
        await stream.write(bytes(96 * 1000))
        assert stream.written_ms == 1000
    playout = await stream.wait_playout(0)
    assert playout.written_ms == playout.sent_ms == 1000
    assert playout.dropped_ms == 0
    await stream.write(bytes(96 * 10))
    playout = await stream.wait_playout(0)
    assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (1010, 1000, 10)


@virtual
async def test_an_interrupt_drops_what_the_converter_holds(speaker):
    async with new_stream(speaker, written=PcmFormat(48000), converter=HalfRate()) as stream:
        await stream.write(bytes(96 * 20))
        playout = await stream.interrupt()
    assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (20, 0, 20)


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
