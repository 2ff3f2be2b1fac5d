"""A turn over a link that is slower than its sound, or stalls: in virtual time."""

import asyncio

import pytest
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.streaming import Callbacks

SOUND_BYTES_S = 48_000
ROOM_BYTES = 2048


class Link(FakeSpeaker):
    """Carries what is said at its pace, and tells how much it has not carried yet."""

    def __init__(self, bytes_per_s=10**9):
        super().__init__()
        self.most_bytes = 0
        self._bytes_per_s = bytes_per_s
        self._free_s = 0.0
        self._stalled_until_s = 0.0

    def say(self, pcm):
        now_s = asyncio.get_running_loop().time()
        self._free_s = max(now_s, self._free_s) + len(pcm) / self._bytes_per_s
        has_room = super().say(pcm)
        self.most_bytes = max(self.most_bytes, self.unacknowledged_bytes())
        return has_room

    def stall(self, seconds):
        now_s = asyncio.get_running_loop().time()
        self._stalled_until_s = now_s + seconds
        self._free_s = max(now_s, self._free_s) + seconds

    def unacknowledged_bytes(self):
        now_s = asyncio.get_running_loop().time()
        left_s = self._free_s - max(now_s, self._stalled_until_s)
        return max(0, round(left_s * self._bytes_per_s))

    def has_room(self):
        return self.unacknowledged_bytes() < ROOM_BYTES

    async def writable(self):
        while not self.has_room():  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.005)


@virtual
async def test_on_a_fast_link_nothing_is_late():
    link = Link()
    told = []
    async with new_stream(link, callbacks=Callbacks(on_underrun=told.append)) as stream:
        await stream.write(sound(5000))
        assert stream.position_ms == pytest.approx(2600, abs=10)
    assert (stream.underruns, stream.underrun_ms, told) == (0, 0, [])
    assert [ms for _, ms in link.says][:3] == [400, 200, 200]


@pytest.mark.parametrize("seconds", [12, 60])
def test_on_a_slow_link_what_was_heard_is_what_has_arrived(seconds):
    @virtual
    async def test():
        link = Link(SOUND_BYTES_S * 2 // 3)
        told = []
        async with new_stream(link, callbacks=Callbacks(on_underrun=told.append)) as stream:

            async def speak():
                while await stream.write(sound(100)):
                    pass

            speaking = asyncio.create_task(speak())
            await asyncio.sleep(seconds)
            link.most_bytes = 0
            await asyncio.sleep(2)
            assert link.most_bytes <= ROOM_BYTES + 200 * 48
            arrived_ms = (link.wire_bytes - link.unacknowledged_bytes()) / 48
            playout = await stream.interrupt()
            await speaking
        assert playout.played_ms <= arrived_ms + 0.1
        assert arrived_ms - playout.played_ms < 100
        assert stream.underruns > 0
        # Two thirds arrive, of what would have been heard.
        assert stream.underrun_ms == pytest.approx((seconds + 2) * 1000 / 3, rel=0.05)
        assert playout.written_ms == playout.sent_ms + playout.dropped_ms
        assert told[-1] == pytest.approx(stream.underrun_ms, abs=201)
        assert len(told) <= (seconds + 2) * 5 + 1

    test()


@virtual
async def test_a_stall_is_told_while_it_lasts():
    link, told = Link(SOUND_BYTES_S * 10), []
    async with new_stream(link, callbacks=Callbacks(on_underrun=told.append)) as stream:
        writing = asyncio.create_task(stream.write(sound(9000)))
        await asyncio.sleep(3.1)
        link.stall(3.0)
        await asyncio.sleep(2.9)
        assert told[-1] == pytest.approx(stream.underrun_ms, abs=201)
        assert stream.underrun_ms > 2000
        assert stream.underruns == 1
        await writing
        await stream.interrupt()


@pytest.mark.parametrize("grace_s", [None, 5.0])
@pytest.mark.parametrize("late", ["play", "skip"])
def test_after_a_stall_every_millisecond_is_accounted_for(late, grace_s):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        link = Link(SOUND_BYTES_S * 10)
        begun_s = loop.time()
        loop.call_later(5, link.stall, 3.0)
        async with new_stream(link, late=late, grace_s=grace_s) as stream:
            for count in range(200):
                await stream.write(sound(100))
                await asyncio.sleep(max(0, begun_s + count / 10 - 0.5 - loop.time()))
        playout = await stream.wait_playout()
        took_ms = (loop.time() - begun_s - (grace_s or 0)) * 1000
        assert stream.underrun_ms == pytest.approx(2700, abs=200)
        assert playout.written_ms == 20_000 == playout.sent_ms + playout.dropped_ms
        assert playout.played_ms == playout.sent_ms
        if late == "play":
            assert playout.dropped_ms == 0
            assert took_ms == pytest.approx(20_000 + stream.underrun_ms, abs=50)
            assert link.pcm == b"".join(sound(100) for _ in range(200))
        else:
            assert playout.dropped_ms == pytest.approx(stream.underrun_ms, abs=50)
            assert took_ms == pytest.approx(20_000, abs=100)

    test()


@virtual
async def test_marks_of_what_is_skipped_are_passed_where_the_rest_goes_on():
    link, passed, loop = Link(SOUND_BYTES_S * 10), [], asyncio.get_running_loop()
    callbacks = Callbacks(on_mark=lambda name: passed.append((name, loop.time())))
    begun_s = loop.time()
    loop.call_later(2, link.stall, 3.0)
    async with new_stream(link, late="skip", callbacks=callbacks) as stream:
        for count in range(80):
            await stream.write(sound(100), text=f" {count}")
            stream.mark(f"{count}")
            await asyncio.sleep(max(0, begun_s + count / 10 - 0.5 - loop.time()))
    playout = await stream.wait_playout()
    assert playout.heard == tuple(map(str, range(80)))
    words = playout.heard_text.split()
    assert words[:20] == list(map(str, range(20)))
    assert words[-20:] == list(map(str, range(60, 80)))
    assert 50 <= len(words) <= 56
    # Those behind the stall are passed when they would have been.
    assert passed[70][1] - begun_s == pytest.approx(7.1, abs=0.15)


@virtual
async def test_what_is_skipped_lets_a_writer_go_on():
    link = Link(SOUND_BYTES_S * 10)
    async with new_stream(link, late="skip", buffer_ms=200) as stream:
        await stream.write(sound(1000))
        link.stall(3.0)
        await asyncio.sleep(0.1)
        await stream.write(sound(1000))
        await stream.write(sound(200))
    assert (await stream.wait_playout()).dropped_ms > 0


@virtual
async def test_the_end_of_a_turn_waits_for_what_is_on_its_way():
    loop = asyncio.get_running_loop()
    link = Link(SOUND_BYTES_S * 10)
    async with new_stream(link, grace_s=None) as stream:
        await stream.write(sound(400))
        begun_s = loop.time()
        link.stall(3.0)
    assert (await stream.wait_playout()).reason == "completed"
    assert loop.time() - begun_s == pytest.approx(3.4, abs=0.1)


@virtual
async def test_a_long_way_is_no_underrun():
    class Far(Link):
        """Everything is acknowledged 300 ms after it was said."""

        def unacknowledged_bytes(self):
            now_s = asyncio.get_running_loop().time() - self._begun
            return sum(len(pcm) for at_s, _, pcm in self.log if at_s > now_s - 0.3)

        def has_room(self):
            return True

    link = Far()
    link.least_round_trip_s = 0.3
    async with new_stream(link, grace_s=None) as stream:
        await stream.write(sound(10_000))
    assert stream.underruns == 0
    assert link.log[-1][0] == pytest.approx(9.6, abs=0.05)


@virtual
async def test_where_nothing_tells_the_clock_decides():
    speaker = FakeSpeaker()
    speaker.left_bytes = None
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(1000))
        assert stream.position_ms == pytest.approx(0, abs=1)
    assert stream.position_ms == pytest.approx(600, abs=5)
    assert stream.underruns == 0


@virtual
async def test_what_was_on_its_way_when_the_connection_was_lost_was_not_heard():
    speaker = FakeSpeaker()
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(1000))
        speaker.left_bytes = 300 * 48
        await asyncio.sleep(0.25)
        assert stream.position_ms == pytest.approx(0, abs=1)
        speaker.left_bytes = None
        await asyncio.sleep(0.25)
        assert stream.end("lost").played_ms == pytest.approx(0, abs=1)


@virtual
async def test_unpaced_sound_waits_for_room_too():
    link = Link(SOUND_BYTES_S * 4)
    async with new_stream(link, paced=False, buffer_ms=1000) as stream:
        await stream.write(sound(5000))
    assert link.most_bytes <= ROOM_BYTES + 200 * 48
    assert link.pcm == sound(5000)


@virtual
async def test_a_turn_without_sound_ends_as_its_grace_is_over():
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    async with new_stream(Link(), grace_s=5.0) as stream:
        pass
    assert (await stream.wait_playout(60)).reason == "timed_out"
    assert loop.time() - begun_s == pytest.approx(5.0, abs=0.1)
