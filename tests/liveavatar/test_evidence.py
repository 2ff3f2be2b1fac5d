"""What states prove of a turn: which turn an IDLE is about, and how it ended."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.liveavatar.evidence import Evidence
from avatarwire.streaming import Playout


@pytest.fixture
def speaker():
    return FakeSpeaker()


@virtual
async def test_speaking_then_idle_completes(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(500))
        evidence.speaking()
    evidence.idle()
    assert await stream.wait_playout() == Playout("completed", 500, 500, 0, 500)


@virtual
async def test_a_stale_idle_does_not_resolve(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        evidence.speaking()  # of the turn before: no sound of this one has left
        await stream.write(sound(500))
        evidence.idle()
    evidence.idle()
    playout = await stream.wait_playout(0.3)
    assert playout.reason == "timed_out"
    assert not stream.is_resolved
    evidence.speaking()
    evidence.idle()
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_idle_before_the_end_of_the_turn_needs_a_new_speaking(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(500))
        evidence.speaking()
        evidence.idle()
    evidence.idle()
    assert not stream.is_resolved


@virtual
async def test_a_turn_that_follows_another_without_a_new_speaking(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        evidence.behind(0.0)
        await stream.write(sound(500))
    evidence.idle()  # of the turn before
    assert not stream.is_resolved
    await asyncio.sleep(0.45)
    evidence.idle()
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_a_short_turn_behind_another_is_not_over_with_that_one(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        evidence.behind(loop.time() + 0.4)
        await stream.write(sound(200))
    await asyncio.sleep(0.4)
    evidence.idle(shared=True)  # of the turn before
    assert not stream.is_resolved
    await asyncio.sleep(0.2)
    evidence.idle()
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_an_idle_that_two_turns_share_ends_the_one_whose_time_has_come(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(300))
    evidence.speaking()  # perhaps of the turn before
    evidence.idle(shared=True)
    assert not stream.is_resolved
    await asyncio.sleep(0.25)
    evidence.idle(shared=True)
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_an_idle_long_before_the_end_tells_that_it_was_stopped(speaker):
    async with new_stream(speaker, paced=False) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(60_000))
    evidence.speaking()
    await asyncio.sleep(3)
    evidence.idle()
    playout = await stream.wait_playout()
    assert playout == Playout("interrupted", 60_000, 60_000, 0, pytest.approx(3000, abs=5))


@virtual
async def test_an_idle_of_a_pause_ends_nothing(speaker):
    """However late it comes: here behind the SPEAKING of what followed, all of which is sent."""
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(500))
        evidence.speaking()
        await asyncio.sleep(0.1)
        stream.pause()
        evidence.paused()
        stream.resume()
        await stream.finish()
        evidence.idle()
        assert not stream.is_resolved
        evidence.speaking()
        await asyncio.sleep(0.35)
        evidence.idle()
        assert (await stream.wait_playout(0)).reason == "completed"


@virtual
async def test_a_platform_that_says_nothing_of_a_pause(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(500))
        evidence.speaking()
        stream.pause()
        evidence.paused()
        stream.resume()
    await asyncio.sleep(0.4)
    evidence.idle()
    assert (await stream.wait_playout(0)).reason == "completed"


@virtual
async def test_of_the_words_that_a_turn_was_stopped_each_pause_takes_one(speaker):
    async with new_stream(speaker) as stream:
        evidence = Evidence(stream)
        assert not evidence.is_of_pause()
        evidence.paused()
        evidence.paused()
        assert [evidence.is_of_pause() for _ in range(3)] == [True, True, False]
        evidence.paused()
        evidence.forget()
        assert not evidence.is_of_pause()
        await stream.interrupt()


@virtual
async def test_what_was_heard_on_a_lost_connection_proves_nothing_on_another(speaker):
    async with new_stream(speaker, keep_ms=2000) as stream:
        evidence = Evidence(stream)
        await stream.write(sound(1000))
        evidence.speaking()
        stream.hold()
        evidence.forget()
        stream.go_on()
    evidence.idle()
    assert not stream.is_resolved
    evidence.speaking()
    evidence.idle()
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)


STATES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["speaking", "idle", "shared", "behind"]), st.just(0)),
        st.tuples(st.just("sleep"), st.integers(0, 1500)),
    ),
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(STATES, STATES)
def test_whatever_states_come_the_sound_is_sent_and_accounted_for(before, after):
    speaker = FakeSpeaker()

    async def notice(evidence, states):
        notices = {
            "speaking": evidence.speaking,
            "idle": evidence.idle,
            "shared": lambda: evidence.idle(shared=True),
            "behind": lambda: evidence.behind(asyncio.get_running_loop().time() + 0.3),
            "sleep": lambda: None,
        }
        for what, ms in states:
            notices[what]()
            await asyncio.sleep(ms / 1000)

    @virtual
    async def test():
        async with new_stream(speaker) as stream:
            evidence = Evidence(stream)
            await stream.write(sound(2000))
            await notice(evidence, before)
        await notice(evidence, after)
        playout = await stream.wait_playout()
        assert playout.reason in {"completed", "interrupted", "timed_out"}
        assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (2000, 2000, 0)
        assert 0 <= playout.played_ms <= 2000
        assert (playout.reason == "completed") <= (playout.played_ms == 2000)
        assert speaker.words.count("finish") == 1
        assert "interrupt" not in speaker.words
        assert len(stream._pacer) == 0

    test()
