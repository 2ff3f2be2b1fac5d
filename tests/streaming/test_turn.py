"""A turn's sound on its way: when it leaves, what was heard of it, what a gap does to it."""

import asyncio

import pytest
from virtual import FRAME_BYTES, GRACE_S, FakeSpeaker, new_stream, sound, virtual

from avatarwire.errors import BacklogFullError
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
async def test_sending_that_fails_unexpectedly_ends_the_turn(speaker, monkeypatch, caplog):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1000))

        def say(pcm):
            raise RuntimeError("on purpose")

        monkeypatch.setattr(speaker, "say", say)
        while await stream.write(sound(1000)):
            pass
    playout = await stream.wait_playout()
    assert (playout.reason, speaker.words[-1]) == ("failed", "finish")
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert "sending failed unexpectedly" in caplog.text


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
    # The platform's word may have been lost in the gap.
    assert await stream.wait_playout(0) == Playout("completed", 280, 280, 0, 280)
    assert len(stream._pacer) == 0


@pytest.mark.parametrize("gap_s", [0.1, GRACE_S + 1])
def test_what_was_sent_wholly_before_a_gap_goes_by_the_clock(speaker, gap_s):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        async with new_stream(speaker, keep_ms=0) as stream:
            await stream.write(sound(400))
        ends_at_s, restored_s = stream.ends_at_s, loop.time() + gap_s
        stream.hold(drop=True)
        await asyncio.sleep(gap_s)
        stream.go_on()
        assert await stream.wait_playout() == Playout("completed", 400, 400, 0, 400)
        assert loop.time() == pytest.approx(max(ends_at_s, restored_s), abs=0.01)

    test()


@virtual
async def test_the_platforms_word_after_a_gap_comes_before_the_clocks(speaker):
    async with new_stream(speaker, keep_ms=0) as stream:
        await stream.write(sound(400))
    stream.hold(drop=True)
    stream.go_on()
    await asyncio.sleep(0.1)
    assert stream.end("interrupted", notify=False).played_ms == pytest.approx(100, abs=5)


@virtual
async def test_a_turn_that_was_sent_after_a_gap_waits_for_the_platforms_word(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        stream.hold()
        stream.go_on()
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


class TurnInAGap:
    """What becomes of one second in a gap that drops it, and of what is written after it."""

    def __init__(self, speaker, **options):
        self.stream = new_stream(speaker, keep_ms=0, **options)

    async def __aenter__(self):
        stream = await self.stream.__aenter__()
        await stream.write(sound(1000))
        stream.hold(drop=True)
        return stream

    async def __aexit__(self, *error):
        await self.stream.__aexit__(*error)


@virtual
async def test_a_turn_whose_end_was_dropped_was_not_completed(speaker):
    async with TurnInAGap(speaker) as stream:
        stream.go_on()
    assert speaker.words == ["start", "say", "restart", "finish"]
    assert await stream.wait_playout() == Playout("lost", 1000, 400, 600, 400)


@pytest.mark.parametrize("grace_s", [None, GRACE_S])
def test_a_producer_faster_than_sound_is_not_told_that_a_gap_played_it(speaker, grace_s):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        async with new_stream(speaker, keep_ms=0, grace_s=grace_s, buffer_ms=60_000) as stream:
            loop.call_later(0.05, lambda: stream.hold(drop=True))
            loop.call_later(0.15, stream.go_on)
            assert await stream.write(sound(60_000))
            await asyncio.sleep(0.2)
        assert (await stream.wait_playout()).reason == "lost"
        assert (stream.written_ms, stream.sent_ms) == (60_000, 400)

    test()


@virtual
async def test_the_platforms_word_does_not_complete_what_it_never_got(speaker):
    async with TurnInAGap(speaker) as stream:
        stream.go_on()
    assert stream.end("completed") == Playout("lost", 1000, 400, 600, 400)


@pytest.mark.parametrize("reason", ["interrupted", "failed"])
def test_a_turn_whose_end_was_dropped_may_end_otherwise_first(speaker, reason):
    @virtual
    async def test():
        async with TurnInAGap(speaker) as stream:
            stream.go_on()
            assert stream.end(reason, notify=False).reason == reason

    test()


@virtual
async def test_what_follows_the_gap_completes_the_turn(speaker):
    async with TurnInAGap(speaker) as stream:
        stream.go_on()
        await stream.write(sound(200))
    assert stream.end("completed") == Playout("completed", 1200, 600, 600, 600)


@virtual
async def test_a_gap_in_which_nothing_waited_drops_no_end(speaker):
    async with TurnInAGap(speaker) as stream:
        stream.go_on()
        await stream.write(sound(200))
        await asyncio.sleep(1)
        stream.hold(drop=True)
        stream.go_on()
    assert stream.end("completed").reason == "completed"


@virtual
async def test_a_turn_that_is_finished_in_a_gap_that_drops_sends_nothing_more(speaker):
    """Also not what a converter has held back."""
    converter = HoldsBack()
    async with new_stream(speaker, keep_ms=0, converter=converter) as stream:
        await stream.write(sound(1000))
        stream.hold(drop=True)
        finishing = asyncio.create_task(stream.finish())
        await asyncio.sleep(0)
        assert stream.queued_ms == 0
        stream.go_on()
        await finishing
    assert speaker.words == ["start", "say", "restart", "finish"]
    assert await stream.wait_playout() == Playout("lost", 1000, 400, 600, 400)


@virtual
async def test_a_converters_rest_does_not_complete_what_a_gap_has_dropped(speaker):
    async with new_stream(speaker, keep_ms=0, converter=HoldsBack()) as stream:
        await stream.write(sound(1000))
        stream.hold(drop=True)
        stream.go_on()
    assert stream.sent_ms == 440
    assert (await stream.wait_playout()).reason == "lost"


class HoldsBack:
    """Changes nothing, and gives the last frame at the end."""

    def __init__(self):
        self._held = b""

    def push(self, pcm):
        data = self._held + pcm
        self._held = data[-FRAME_BYTES:]
        return data[:-FRAME_BYTES]

    def flush(self):
        return self._held


@virtual
async def test_an_interrupt_that_the_backlog_has_no_room_for(speaker, caplog):
    def full(scope):
        raise BacklogFullError(200, 200)

    speaker.interrupt = full
    async with new_stream(speaker, keep_ms=2000) as stream:
        await stream.write(sound(1000))
        stream.hold()
        assert (await stream.interrupt()).reason == "interrupted"
    (record,) = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert record.getMessage().startswith(
        "turn response: interrupted, but the platform could not be told: the connection is being"
        " restored and 200 of 200 bytes wait already"
    )


@pytest.mark.parametrize("reason", ["completed", "interrupted", "failed"])
def test_an_end_that_the_backlog_has_no_room_for_keeps_its_reason(speaker, caplog, reason):
    def full():
        raise BacklogFullError(200, 200)

    @virtual
    async def test():
        async with new_stream(speaker, keep_ms=2000) as stream:
            await stream.write(sound(1000))
            speaker.abandon = full
            assert stream.end(reason, notify=False).reason == reason

    test()
    assert f"turn response: {reason}, but the platform could not be told" in caplog.text


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
