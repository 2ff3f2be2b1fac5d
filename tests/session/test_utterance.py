"""A turn that obeys at once, also before it is open."""

import asyncio

import pytest
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.session import Utterance


class Gate(FakeSpeaker):
    """A platform that opens a turn when it is let."""

    def __init__(self):
        super().__init__()
        self.may_open = asyncio.Event()

    async def ready(self):
        await self.may_open.wait()


def closed_gate():
    speaker = Gate()
    return speaker, new_stream(speaker, grace_s=None)


@virtual
async def test_writers_wait_until_it_is_open():
    speaker, stream = closed_gate()
    utterance = Utterance(stream)
    writing = asyncio.create_task(utterance.write(sound(400)))
    await asyncio.sleep(1)
    assert not writing.done()
    speaker.may_open.set()
    assert await writing
    utterance.finish()
    playout = await utterance.wait_playout()
    assert (playout.reason, playout.played_ms) == ("completed", 400)
    assert speaker.pcm == sound(400)
    assert utterance.is_over
    assert utterance.stream is stream


@virtual
async def test_one_that_is_interrupted_before_is_never_opened():
    speaker, stream = closed_gate()
    utterance = Utterance(stream)
    writing = asyncio.create_task(utterance.write(sound(400)))
    await asyncio.sleep(1)
    utterance.interrupt()
    utterance.interrupt()
    assert utterance.is_over
    speaker.may_open.set()
    assert await writing is False
    playout = await utterance.wait_playout()
    assert (playout.reason, playout.played_ms) == ("interrupted", 0)
    await utterance.wait_sent()
    assert await utterance.write(sound(40)) is False
    assert speaker.words == []


@virtual
async def test_one_that_is_finished_before_is_complete_when_it_opens():
    speaker, stream = closed_gate()
    utterance = Utterance(stream)
    utterance.finish()
    speaker.may_open.set()
    assert (await utterance.wait_playout()).reason == "completed"
    assert speaker.words == ["start", "finish"]


@virtual
async def test_one_that_is_paused_is_not_opened():
    speaker, stream = closed_gate()
    speaker.may_open.set()
    utterance = Utterance(stream, is_paused=True)
    writing = asyncio.create_task(utterance.write(sound(400)))
    await asyncio.sleep(1)
    assert speaker.words == []
    utterance.resume()
    assert await writing
    utterance.finish()
    assert (await utterance.wait_playout()).played_ms == 400


@virtual
async def test_a_pause_while_it_opens_holds():
    speaker, stream = closed_gate()
    utterance = Utterance(stream)
    await asyncio.sleep(0)
    utterance.pause()
    speaker.may_open.set()
    await asyncio.sleep(1)
    assert stream.is_paused
    utterance.resume()
    assert not stream.is_paused
    utterance.interrupt()


@virtual
async def test_pause_and_resume_are_the_streams():
    speaker, stream = closed_gate()
    speaker.may_open.set()
    utterance = Utterance(stream)
    await utterance.write(sound(1000))
    utterance.pause()
    assert stream.is_paused
    utterance.resume()
    assert not stream.is_paused
    utterance.interrupt()
    assert (await utterance.wait_playout()).reason == "interrupted"


@virtual
async def test_turns_stand_behind_one_another():
    first_speaker, first = closed_gate()
    second_speaker, second = closed_gate()
    first_speaker.may_open.set()
    second_speaker.may_open.set()
    before = Utterance(first)
    behind = Utterance(second, behind=before)
    await before.write(sound(1000))
    await asyncio.sleep(5)
    assert second_speaker.words == []
    before.finish()
    assert await behind.write(sound(40))
    assert first_speaker.words[-1] == "finish"
    behind.finish()
    await behind.wait_playout()


@virtual
async def test_it_waits_for_what_it_is_told_to():
    speaker, stream = closed_gate()
    speaker.may_open.set()
    ready = asyncio.Event()
    utterance = Utterance(stream, ready=ready.wait)
    await asyncio.sleep(1)
    assert speaker.words == []
    ready.set()
    assert await utterance.write(sound(40))
    utterance.interrupt()


@virtual
async def test_a_writer_waits_no_longer_than_it_says():
    _, stream = closed_gate()
    utterance = Utterance(stream)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    with pytest.raises(TimeoutError):
        await utterance.write(sound(40), timeout=3)
    assert loop.time() - begun_s == pytest.approx(3)
    utterance.interrupt()


@virtual
async def test_a_platform_that_takes_nothing_frees_the_writer():
    speaker, stream = closed_gate()
    speaker.may_open.set()
    utterance = Utterance(stream)
    speaker.room.clear()
    with pytest.raises(TimeoutError):
        await utterance.write(sound(10_000), timeout=3)
    utterance.interrupt()


@pytest.mark.parametrize(
    ("error", "reason"), [(ConnectionError("gone"), "lost"), (RuntimeError("busy"), "failed")]
)
@virtual
async def test_one_that_cannot_be_opened_says_so(error, reason, caplog):
    speaker = FakeSpeaker()

    async def refuse():
        raise error

    speaker.ready = refuse
    utterance = Utterance(new_stream(speaker))
    assert await utterance.write(sound(40)) is False
    assert (await utterance.wait_playout()).reason == reason
    assert f"could not be begun: {error}" in caplog.text


@virtual
async def test_a_platform_without_an_interrupt_is_told_in_the_log(caplog):
    from avatarwire.errors import AvatarwireError

    speaker, stream = closed_gate()
    speaker.may_open.set()
    utterance = Utterance(stream)
    await utterance.write(sound(40))

    def refuse(scope):
        raise AvatarwireError("it plays on")

    speaker.interrupt = refuse
    utterance.interrupt()
    assert "it plays on" in caplog.text
    speaker.is_lost = True
    stream.end("lost")
