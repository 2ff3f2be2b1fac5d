"""A turn that is paused and goes on: what was heard before it, and after it, is all of it."""

import asyncio

import pytest
from virtual import GRACE_S, FakeSpeaker, new_stream, sound, virtual

from avatarwire.streaming import Playout


@pytest.fixture
def speaker():
    return FakeSpeaker()


def after(speaker, word):
    """Give the sound that was sent after the last such word."""
    words = speaker.words
    last = len(words) - words[::-1].index(word)
    return b"".join(pcm for _, _, pcm in speaker.log[last:])


@pytest.mark.parametrize("at_ms", [1, 137, 400, 399, 1000, 1555])
def test_it_goes_on_with_the_first_sample_that_was_not_heard(speaker, at_ms):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        whole = sound(2000)
        async with new_stream(speaker, grace_s=None) as stream:
            begun_s = loop.time()
            await stream.write(whole)
            await asyncio.sleep(at_ms / 1000 - (loop.time() - begun_s))
            stream.pause()
            assert stream.is_paused
            assert stream.position_ms == pytest.approx(at_ms, abs=0.05)
            stood_ms = stream.position_ms, stream.queued_ms, stream.sent_ms
            count = len(speaker.log)
            await asyncio.sleep(100)
            assert (stream.position_ms, stream.queued_ms, stream.sent_ms) == stood_ms
            assert len(speaker.log) == count
            stream.resume()
            assert not stream.is_paused
            await asyncio.sleep(0.05)
            assert stream.position_ms == pytest.approx(at_ms + 50, abs=0.1)
        playout = await stream.wait_playout()
        assert playout == Playout("completed", 2000, 2000, 0, 2000)
        assert loop.time() - begun_s == pytest.approx(102, abs=0.01)
        assert after(speaker, "restart") == whole[round(stood_ms[0] * 24) * 2 :]
        assert stream.underruns == 0
        assert stream.lateness.max_ms < 10

    test()


@virtual
async def test_a_pause_costs_nothing(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(2000))
        await asyncio.sleep(0.1)
        stream.pause()
        assert len(stream._pacer) == 0
        assert len(asyncio.all_tasks()) == 1
        stream.resume()
        await stream.interrupt()


@virtual
async def test_twice_is_once(speaker):
    async with new_stream(speaker) as stream:
        stream.resume()  # without a pause
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.pause()
        stream.pause()
        stream.resume()
        stream.resume()
        await asyncio.sleep(0.1)
        stream.pause()
        stream.resume()
    assert [word for word in speaker.words if word != "say"] == [
        "start",
        "pause",
        "restart",
        "pause",
        "restart",
        "finish",
    ]
    assert sound(1000).endswith(after(speaker, "restart"))
    assert len(after(speaker, "restart")) == pytest.approx(800 * 48, abs=10)


@virtual
async def test_before_anything_was_sent_the_platform_is_told_nothing(speaker):
    async with new_stream(speaker, grace_s=None) as stream:
        stream.pause()
        await stream.write(sound(1000))
        await asyncio.sleep(5)
        assert (stream.queued_ms, stream.sent_ms) == (1000, 0)
        stream.resume()
    assert speaker.words[:2] == ["start", "say"]
    assert "restart" not in speaker.words
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)


@virtual
async def test_when_all_that_was_sent_was_heard_the_platform_is_told_nothing(speaker):
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(400))
        await asyncio.sleep(0.6)
        stream.pause()
        await asyncio.sleep(5)
        stream.resume()
        await stream.write(sound(400))
    assert speaker.words == ["start", "say", "say", "finish"]
    assert stream.underruns == 1
    assert stream.underrun_ms == pytest.approx(200, abs=1)


@virtual
async def test_a_turn_that_was_sent_wholly_is_opened_again(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(400))
    await asyncio.sleep(0.1)
    assert speaker.words == ["start", "say", "finish"]
    stream.pause()
    assert (stream.sends, stream.is_open) == (True, False)
    await asyncio.sleep(GRACE_S + 10)
    assert not stream.is_resolved
    stream.resume()
    assert speaker.words == ["start", "say", "finish", "pause", "restart", "say", "finish"]
    assert after(speaker, "restart") == sound(400)[-300 * 48 :]
    assert (await stream.wait_playout()).sent_ms == 400


@virtual
async def test_a_turn_that_was_heard_is_not_paused(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(400))
    await asyncio.sleep(1)
    stream.pause()
    assert not stream.is_paused
    assert (await stream.wait_playout()).reason == "timed_out"
    stream.pause()
    assert not stream.is_paused
    stream.resume()
    assert speaker.words == ["start", "say", "finish"]


@virtual
async def test_it_finishes_in_a_pause(speaker):
    stream = new_stream(speaker, grace_s=None)
    async with stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.5)
        stream.pause()
        finishing = asyncio.create_task(stream.finish())
        await asyncio.sleep(10)
        assert not finishing.done()
        assert speaker.words[-1] == "pause"
        stream.resume()
        await finishing
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)


@virtual
async def test_a_writer_waits_as_ever(speaker):
    async with new_stream(speaker, buffer_ms=1000) as stream:
        await stream.write(sound(400))
        await asyncio.sleep(0.1)
        stream.pause()
        assert await stream.write(sound(700))
        writing = asyncio.create_task(stream.write(sound(400)))
        await asyncio.sleep(10)
        assert not writing.done()
        stream.resume()
        assert await writing


@pytest.mark.parametrize("reason", ["interrupted", "failed", "lost"])
def test_it_may_end_in_a_pause(speaker, reason):
    @virtual
    async def test():
        async with new_stream(speaker, buffer_ms=1000) as stream:
            writing = asyncio.create_task(stream.write(sound(3000)))
            await asyncio.sleep(0.25)
            stream.pause()
            await asyncio.sleep(10)
            playout = stream.end(reason)
            assert not stream.is_paused
            assert await writing is False
            stream.resume()
        assert playout == Playout(reason, 3000, *[pytest.approx(ms) for ms in (250, 2750, 250)])
        assert speaker.words[:4] == ["start", "say", "say", "pause"]
        assert "restart" not in speaker.words
        assert await stream.wait_playout() == playout

    test()


@virtual
async def test_an_exception_in_a_pause_interrupts(speaker):
    stream = new_stream(speaker)

    async def turn():
        async with stream:
            await stream.write(sound(1000))
            await asyncio.sleep(0.1)
            stream.pause()
            raise KeyError

    with pytest.raises(KeyError):
        await turn()
    assert (await stream.wait_playout()).reason == "interrupted"


@virtual
async def test_a_platform_that_cannot_stop_plays_what_it_has(speaker):
    speaker.can_pause = False
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.pause()
        assert stream.is_paused
        assert stream.sent_ms == 400
        await asyncio.sleep(5)
        assert stream.position_ms == 400
        stream.resume()
    assert speaker.pcm == sound(1000)
    assert "restart" not in speaker.words
    assert stream.underruns == 0
    stream.pause()  # it plays its tail: nothing can stop that
    assert not stream.is_paused
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)


@virtual
async def test_without_pacing_there_is_no_pause(speaker):
    async with new_stream(speaker, paced=False) as stream:
        with pytest.raises(RuntimeError, match="leave out paced=False"):
            stream.pause()


@virtual
async def test_the_connection_is_full(speaker):
    async with new_stream(speaker, grace_s=None) as stream:
        speaker.room.clear()
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.pause()
        speaker.room.set()
        await asyncio.sleep(5)
        assert speaker.words == ["start", "say", "pause"]
        stream.resume()
    assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)


# Another connection


@pytest.mark.parametrize("order", ["pause gap", "gap pause"])
@pytest.mark.parametrize("then", ["restore resume", "resume restore"])
def test_a_gap_changes_nothing(speaker, order, then):
    @virtual
    async def test():
        async with new_stream(speaker, keep_ms=2000, grace_s=None) as stream:
            calls = {
                "pause": stream.pause,
                "resume": stream.resume,
                "gap": stream.hold,
                "restore": stream.go_on,
            }
            await stream.write(sound(1000))
            await asyncio.sleep(0.2)
            for call in f"{order} {then}".split():
                calls[call]()
                await asyncio.sleep(3)
        assert [word for word in speaker.words if word not in {"say", "pause"}] == [
            "start",
            "restart",
            "finish",
        ]
        assert after(speaker, "restart") == sound(1000)[-800 * 48 :]
        assert await stream.wait_playout() == Playout("completed", 1000, 1000, 0, 1000)

    test()


@virtual
async def test_a_dead_connection_at_the_pause(speaker):
    """Nobody has told yet that another one comes."""
    async with new_stream(speaker, keep_ms=2000, grace_s=None) as stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        speaker.is_lost = True
        stream.pause()
        assert stream.is_paused
        stream.resume()
        stream.pause()
        await asyncio.sleep(1)
        stream.hold()
        speaker.is_lost = False
        stream.go_on()
        stream.resume()
    assert after(speaker, "restart") == sound(1000)[-900 * 48 :]
    assert (await stream.wait_playout()).reason == "completed"


@virtual
async def test_a_dead_connection_at_the_end_of_a_pause(speaker):
    async with new_stream(speaker, keep_ms=2000, grace_s=None) as stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.pause()
        speaker.is_lost = True
        stream.resume()
        await asyncio.sleep(1)
        stream.hold()
        speaker.is_lost = False
        stream.go_on()
    assert after(speaker, "restart") == sound(1000)[-900 * 48 :]
    assert (await stream.wait_playout()).reason == "completed"


@pytest.mark.parametrize("call", ["pause", "resume"])
def test_a_turn_that_does_not_outlive_its_connection_is_lost(speaker, call):
    @virtual
    async def test():
        async with new_stream(speaker) as stream:
            await stream.write(sound(1000))
            await asyncio.sleep(0.1)
            if call == "resume":
                stream.pause()
            speaker.is_lost = True
            getattr(stream, call)()
            assert not stream.is_paused
            assert (await stream.wait_playout()).reason == "lost"

    test()


@virtual
async def test_a_gap_that_drops_drops_what_was_paused_too(speaker):
    async with new_stream(speaker, keep_ms=0, grace_s=None) as stream:
        await stream.write(sound(1000))
        await asyncio.sleep(0.1)
        stream.pause()
        stream.hold(drop=True)
        stream.go_on()
        stream.resume()
        await stream.write(sound(200))
    assert after(speaker, "restart") == sound(200)
    playout = await stream.wait_playout()
    assert playout.written_ms == 1200
    assert playout.sent_ms == playout.played_ms == pytest.approx(300)


# Misuse


@virtual
async def test_not_entered(speaker):
    stream = new_stream(speaker)
    for call in (stream.pause, stream.resume):
        with pytest.raises(RuntimeError, match="async with"):
            call()
