"""Streams that share a session, and the one of them that is open."""

import asyncio
import gc
import weakref

import pytest
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.streaming import StreamRegister, TurnRegister


async def entered(register, speaker=None, **options):
    stream = new_stream(speaker or FakeSpeaker(), **options)
    await stream.__aenter__()
    register.opened(stream)
    return stream


@virtual
async def test_one_is_open_at_a_time():
    register = TurnRegister()
    register.require_none("speaking")
    stream = await entered(register)
    with pytest.raises(RuntimeError, match="speaking while the audio stream 'response' is open"):
        register.require_none("speaking")
    await stream.finish()
    register.closed(stream)
    register.require_none("speaking")


@virtual
async def test_one_that_is_over_bars_nobody():
    """It may end without a word, when its connection turns out to be dead."""
    register, speaker = TurnRegister(), FakeSpeaker()
    stream = await entered(register, speaker)
    speaker.is_lost = True
    assert not await stream.write(sound(1000))
    register.require_none("speaking")


@virtual
async def test_an_earlier_one_that_closes_leaves_the_later_one_open():
    register = TurnRegister()
    first, second = await entered(register), await entered(register)
    register.closed(first)
    with pytest.raises(RuntimeError):
        register.require_none("speaking")
    await first.interrupt()
    await second.interrupt()


@pytest.mark.parametrize(("mode", "sent_ms"), [("resume", 1000), ("drop", 400)])
def test_a_gap_is_told_to_each(mode, sent_ms):
    @virtual
    async def test():
        register = StreamRegister()
        streams = [await entered(register, keep_ms=2000) for _ in range(3)]
        for stream in streams:
            await stream.write(sound(1000))
        register.hold(drop=mode == "drop")
        await asyncio.sleep(1)
        register.go_on()
        for stream in streams:
            await stream.finish()
            assert stream.sent_ms == sent_ms
            await stream.interrupt()

    test()


def test_the_end_is_told_to_each():
    @virtual
    async def test():
        register = TurnRegister()
        streams = [await entered(register) for _ in range(3)]
        register.lose()
        register.require_none("speaking")
        for stream in streams:
            assert (await stream.wait_playout()).reason == "lost"

    test()


@pytest.mark.parametrize("kind", [StreamRegister, TurnRegister])
def test_one_that_is_over_is_let_go(kind):
    @virtual
    async def test():
        register = kind()
        stream = await entered(register)
        await stream.interrupt()
        gone = weakref.ref(stream)
        stream = await entered(register)
        gc.collect()
        assert gone() is None
        gone = weakref.ref(stream)
        register.lose()
        if kind is TurnRegister:
            register.closed(stream)
        del stream
        await asyncio.sleep(0.01)
        gc.collect()
        assert gone() is None

    test()


@virtual
async def test_turns_that_are_resumed_go_one_after_the_other():
    register, log = TurnRegister(), []

    class Speaker(FakeSpeaker):
        def _note(self, what, pcm=b""):
            log.append((self.name, what))
            return super()._note(what, pcm)

        def finish(self):
            has_room = super().finish()
            register.closed(self.stream)
            return has_room

    streams = []
    for name in "AB":
        speaker = Speaker()
        speaker.name = name
        speaker.stream = await entered(register, speaker, keep_ms=2000)
        streams.append(speaker.stream)
        await speaker.stream.write(sound(1000))
        if name == "A":
            await speaker.stream.finish()
    register.hold(drop=False)
    log.clear()
    register.go_on()
    waiting = asyncio.create_task(register.wait_resumed())
    await streams[1].finish()
    await waiting
    names = [name for name, _ in log]
    assert names == sorted(names)
    assert log.count(("A", "finish")) == log.count(("B", "finish")) == 1


@virtual
async def test_one_that_ends_while_it_is_resumed_lets_the_next_go_on():
    register = TurnRegister()
    first, second = FakeSpeaker(), FakeSpeaker()
    streams = [await entered(register, speaker, keep_ms=2000) for speaker in (first, second)]
    for stream in streams:
        await stream.write(sound(1000))
    register.hold(drop=False)
    register.go_on()
    assert "restart" not in second.words
    await streams[0].interrupt()
    register.closed(streams[0])
    assert "restart" in second.words
    await streams[1].interrupt()
