"""When a turn begins to be heard: by the platform's word, else by the clock."""

import asyncio

import pytest
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.streaming import Callbacks

START_GRACE_S = 3.0


@pytest.fixture
def speaker():
    return FakeSpeaker()


class Told:
    """Notes when it is called, in seconds since it was made."""

    def __init__(self):
        self._begun_s = asyncio.get_running_loop().time()
        self.at_s = []

    def __call__(self):
        self.at_s.append(round(asyncio.get_running_loop().time() - self._begun_s, 3))


def said(stream):
    stream.start.said(asyncio.get_running_loop().time())


@virtual
async def test_by_the_clock_it_begins_when_the_first_sound_is_sent(speaker):
    told = Told()
    async with new_stream(speaker, callbacks=Callbacks(on_started=told)) as stream:
        waiting = asyncio.create_task(stream.wait_started())
        await asyncio.sleep(1)
        assert not waiting.done()
        assert (await stream.wait_playout(0)).started_ms is None
        await stream.write(sound(20))  # less than a frame does not leave
        await asyncio.sleep(1)
        assert not waiting.done()
        await stream.write(sound(500))
        assert await waiting is True
    assert told.at_s == [2]
    assert (await stream.wait_playout(0)).started_ms == pytest.approx(1000)
    assert await stream.wait_started() is True


@virtual
async def test_the_platforms_word_counts(speaker):
    told = Told()
    callbacks = Callbacks(on_started=told)
    async with new_stream(speaker, start_grace_s=START_GRACE_S, callbacks=callbacks) as stream:
        said(stream)  # of another turn: nothing of this one has been sent
        assert await stream.wait_started(0) is False
        await stream.write(sound(2000))
        await asyncio.sleep(0.3)
        assert told.at_s == []
        said(stream)
        said(stream)
        assert await stream.wait_started() is True
    assert told.at_s == [0.3]
    stream.end("completed")
    assert (await stream.wait_playout()).started_ms == pytest.approx(300)


@virtual
async def test_without_the_platforms_word_the_clock_is_believed_later(speaker):
    told = Told()
    callbacks = Callbacks(on_started=told)
    async with new_stream(speaker, start_grace_s=START_GRACE_S, callbacks=callbacks) as stream:
        await stream.write(sound(5000))
    assert told.at_s == [START_GRACE_S]
    assert (await stream.wait_playout(0)).started_ms == 0


@virtual
async def test_whoever_asks_late_is_told_by_the_clock_too(speaker):
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with new_stream(speaker, start_grace_s=START_GRACE_S, buffer_ms=9000) as stream:
        await stream.write(sound(9000))
        await asyncio.sleep(1)
        assert await stream.wait_started() is True
        assert loop.time() - begin == pytest.approx(START_GRACE_S)
        await stream.interrupt()


@virtual
async def test_a_turn_that_was_played_had_begun(speaker):
    told = Told()
    callbacks = Callbacks(on_started=told)
    async with new_stream(speaker, start_grace_s=START_GRACE_S, callbacks=callbacks) as stream:
        await stream.write(sound(400))
    stream.end("completed")
    assert await stream.wait_started() is True
    assert (await stream.wait_playout()).started_ms == 0
    await asyncio.sleep(10)
    assert told.at_s == [0]


@pytest.mark.parametrize("reason", ["interrupted", "failed", "lost"])
def test_a_turn_that_ended_first_has_not_begun_as_far_as_is_known(speaker, reason):
    @virtual
    async def test():
        told = Told()
        callbacks = Callbacks(on_started=told)
        async with new_stream(speaker, start_grace_s=START_GRACE_S, callbacks=callbacks) as stream:
            waiting = asyncio.create_task(stream.wait_started())
            await stream.write(sound(1000))
            await asyncio.sleep(0.1)
            stream.end(reason)
            assert await waiting is False
        assert (await stream.wait_playout()).started_ms is None
        await asyncio.sleep(10)
        assert told.at_s == []

    test()


@virtual
async def test_a_silent_platforms_turn_had_begun_when_it_is_interrupted_late(speaker):
    async with new_stream(speaker, start_grace_s=START_GRACE_S, buffer_ms=9000) as stream:
        await stream.write(sound(9000))
        await asyncio.sleep(START_GRACE_S + 1)
        assert (await stream.interrupt()).started_ms == 0


@virtual
async def test_nobody_waits_longer_than_told(speaker):
    loop = asyncio.get_running_loop()
    async with new_stream(speaker) as stream:
        begin = loop.time()
        assert await stream.wait_started(0.5) is False
        assert loop.time() - begin == pytest.approx(0.5)


@virtual
async def test_behind_another_turn_it_begins_at_that_ones_end(speaker):
    told = Told()
    callbacks = Callbacks(on_started=told)
    stream = new_stream(speaker, start_grace_s=START_GRACE_S, callbacks=callbacks)
    stream.start.goes_by_clock(asyncio.get_running_loop().time() + 0.25)
    async with stream:
        await stream.write(sound(1000))
    assert told.at_s == [0.25]


@virtual
async def test_a_gap_before_it_was_heard_begins_the_clock_anew(speaker):
    told = Told()
    callbacks = Callbacks(on_started=told)
    async with new_stream(
        speaker, start_grace_s=START_GRACE_S, callbacks=callbacks, keep_ms=2000
    ) as stream:
        await stream.write(sound(400))
        stream.hold()
        await asyncio.sleep(10)
        assert told.at_s == []
        stream.go_on()
        await asyncio.sleep(START_GRACE_S)
        assert told.at_s == [10 + START_GRACE_S]


@virtual
async def test_the_callback_may_end_the_turn(speaker):
    def on_started():
        stream.interrupt_nowait()

    async with new_stream(speaker, callbacks=Callbacks(on_started=on_started)) as stream:
        assert await stream.write(sound(5000)) is False
    assert speaker.words == ["start", "say", "interrupt", "finish"]


@virtual
async def test_a_callback_that_raises_ends_nothing(speaker, caplog):
    def on_started():
        raise KeyError("on purpose")

    async with new_stream(speaker, callbacks=Callbacks(on_started=on_started)) as stream:
        assert await stream.write(sound(1000))
    assert speaker.pcm == sound(1000)
    assert "a callback of an audio stream raised; the turn goes on" in caplog.text


def test_a_callback_is_a_plain_function():
    async def coroutine():
        pass

    with pytest.raises(TypeError, match="on_started must be a plain function, not a coroutine"):
        Callbacks(on_started=coroutine)
    with pytest.raises(TypeError, match="on_started must be a plain function, not str"):
        Callbacks(on_started="name")


@virtual
async def test_not_entered(speaker):
    with pytest.raises(RuntimeError, match="async with"):
        await new_stream(speaker).wait_started()
