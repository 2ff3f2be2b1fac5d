"""What was heard of a turn: marks, words, and runs of sound, whatever happens to it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_interleavings import PLACES
from virtual import FakeSpeaker, new_stream, sound, virtual

from avatarwire.audio import PcmFormat, Resampler
from avatarwire.streaming import Callbacks, Playout, Progress
from avatarwire.streaming.hearing import MOST_CHARACTERS


@pytest.fixture
def speaker():
    return FakeSpeaker()


class Told:
    """Notes what it is told, in milliseconds since it was made."""

    def __init__(self):
        self._begun_s = asyncio.get_running_loop().time()
        self.said = []

    def __call__(self, what):
        now_s = asyncio.get_running_loop().time()
        self.said.append((round((now_s - self._begun_s) * 1000), what))

    def runs(self):
        return [
            (round(run.from_ms), round(run.to_ms), round((run.at_s - self._begun_s) * 1000))
            for _, run in self.said
        ]


# Marks


@virtual
async def test_marks_are_told_when_they_are_heard(speaker):
    told = Told()
    async with new_stream(speaker, grace_s=None, callbacks=Callbacks(on_mark=told)) as stream:
        stream.mark("begin")
        await stream.write(sound(500))
        stream.mark("half")
        stream.mark("again")
        await stream.write(sound(500))
        stream.mark("end")
        assert (await stream.wait_playout(0)).heard == ("begin",)
        await asyncio.sleep(0.6)
        assert (await stream.wait_playout(0)).heard == ("begin", "half", "again")
    assert (await stream.wait_playout()).heard == ("begin", "half", "again", "end")
    assert told.said[0] == (pytest.approx(0, abs=11), "begin")
    assert told.said[1:] == [
        (pytest.approx(500, abs=2), "half"),
        (pytest.approx(500, abs=2), "again"),
        (pytest.approx(1000, abs=5), "end"),
    ]


@virtual
async def test_marks_without_anyone_to_tell_cost_no_timer(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(500))
        stream.mark("half")
        await stream.write(sound(500))
        assert stream._hearing._timer is None
        await asyncio.sleep(0.7)
        assert (await stream.interrupt()).heard == ("half",)
        stream.mark("late")
    assert (await stream.wait_playout()).heard == ("half",)


@virtual
async def test_a_mark_waits_in_a_pause_and_in_an_underrun(speaker):
    told = Told()
    async with new_stream(speaker, callbacks=Callbacks(on_mark=told)) as stream:
        await stream.write(sound(300))
        stream.mark("paused")
        await stream.write(sound(300))
        stream.mark("late")
        await asyncio.sleep(0.2)
        stream.pause()
        await asyncio.sleep(5)
        stream.resume()
        await asyncio.sleep(1)  # the sound has run out
        await stream.write(sound(300))
        stream.mark("last")
    await asyncio.sleep(1)
    assert [what for _, what in told.said] == ["paused", "late", "last"]
    assert [at for at, _ in told.said] == pytest.approx([5300, 5600, 6500], abs=12)


@virtual
async def test_a_mark_that_is_not_reached_is_not_told(speaker):
    told = Told()
    async with new_stream(speaker, callbacks=Callbacks(on_mark=told)) as stream:
        await stream.write(sound(300))
        stream.mark("heard")
        await stream.write(sound(1000))
        stream.mark("missed")
        await asyncio.sleep(0.35)
        await stream.interrupt()
    await asyncio.sleep(5)
    assert [what for _, what in told.said] == ["heard"]


@virtual
async def test_the_callback_may_pause_and_end_the_turn(speaker):
    def on_mark(name):
        stream.pause()
        loop.call_later(1, stream.resume if name == "pause" else stream.interrupt_nowait)

    loop = asyncio.get_running_loop()
    async with new_stream(speaker, callbacks=Callbacks(on_mark=on_mark)) as stream:
        for name in ("pause", "end", "never"):
            await stream.write(sound(300))
            stream.mark(name)
        begun_s = loop.time()
        assert (await stream.wait_playout()).heard == ("pause", "end")
        assert loop.time() - begun_s == pytest.approx(0.6 + 2, abs=0.02)


def test_a_mark_has_a_name():
    @virtual
    async def test():
        async with new_stream(FakeSpeaker()) as stream:
            with pytest.raises(TypeError, match="name must be str, not int"):
                stream.mark(1)
        with pytest.raises(RuntimeError, match="async with"):
            new_stream(FakeSpeaker()).mark("early")

    test()


# Words


@virtual
async def test_the_words_of_what_was_played(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(1000), text="Hello there, ")
        await stream.write(sound(1000), words=[("how", 0), ("are", 300), ("you?", 600)])
        assert (await stream.wait_playout(0)).heard_text == ""
        await asyncio.sleep(0.1)
        assert (await stream.wait_playout(0)).heard_text == "Hello"
        await asyncio.sleep(1.25)
        playout = await stream.interrupt()
    assert playout.heard_text == "Hello there, how are"
    assert await stream.wait_playout() == playout


@virtual
async def test_all_of_a_turn_that_was_completed(speaker):
    """Also a word whose time is a little behind the end."""
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(sound(500), words=[("Hello", 0), ("there", 510)])
        await stream.write(b"", text="!")
    assert (await stream.wait_playout()).heard_text == "Hello there!"


@virtual
async def test_text_before_its_sound(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(b"", text="Hello")
        assert (await stream.wait_playout(0)).heard_text == ""
        await stream.write(sound(400))
        await asyncio.sleep(0.1)
        assert (await stream.interrupt()).heard_text == "Hello"


@virtual
async def test_a_turn_of_words_alone_was_not_heard(speaker):
    async with new_stream(speaker, grace_s=None) as stream:
        await stream.write(b"", text="Hello")
        stream.mark("never")
    assert await stream.wait_playout() == Playout("completed", 0, 0, 0, 0)


@virtual
async def test_converted_sound(speaker):
    pytest.importorskip("soxr", reason="a wheel is tested without its extras")
    format_ = PcmFormat(44_100, 2)
    converter = Resampler(rate_in=44_100, rate_out=24_000, channels_in=2)
    told = Told()
    async with new_stream(
        speaker,
        written=format_,
        converter=converter,
        grace_s=None,
        callbacks=Callbacks(on_mark=told),
    ) as stream:
        for word in ("one ", "two ", "three"):
            await stream.write(bytes(44_100 * 4 // 4), text=word)
            stream.mark(word)
        await asyncio.sleep(0.3)
        assert (await stream.wait_playout(0)).heard_text == "one two"
    assert (await stream.wait_playout()).heard_text == "one two three"
    assert [at for at, _ in told.said] == pytest.approx([250, 500, 750], abs=12)


@virtual
async def test_what_is_wrong_is_not_taken(speaker):
    async with new_stream(speaker) as stream:
        with pytest.raises(ValueError, match="text and words say the same"):
            await stream.write(sound(100), text="Hello", words=[("Hello", 0)])
        with pytest.raises(TypeError, match="text must be str"):
            await stream.write(sound(100), text=b"Hello")
        with pytest.raises(ValueError, match="200 ms follows 300"):
            await stream.write(sound(100), words=[("Hello", 300), ("there", 200)])
        with pytest.raises(ValueError, match=r"turn response: its marks and words .*1,000,000"):
            await stream.write(sound(100), text="x" * MOST_CHARACTERS)
        with pytest.raises(ValueError, match="begin another turn"):
            stream.mark("x" * MOST_CHARACTERS)
        assert stream.written_ms == 0
        await stream.write(sound(100), text="x" * (MOST_CHARACTERS - 10))
        with pytest.raises(ValueError, match="begin another turn"):
            stream.mark("x")


@virtual
async def test_a_turn_without_any_has_nothing_of_it(speaker):
    async with new_stream(speaker) as stream:
        await stream.write(sound(500))
        assert stream._hearing is None
    assert (await stream.wait_playout(0)).heard_text == ""


# Runs of sound


@virtual
async def test_runs_of_sound(speaker):
    told = Told()
    callbacks = Callbacks(on_progress=told)
    async with new_stream(speaker, grace_s=None, callbacks=callbacks) as stream:
        await stream.write(sound(1000))
    await stream.wait_playout()
    await asyncio.sleep(0)
    assert told.runs() == [(0, 200, 0), (200, 400, 200), (400, 600, 400), (600, 1000, 600)]
    assert all(at >= round(run.to_ms) for at, run in told.said)


@virtual
async def test_runs_around_a_pause_and_an_underrun(speaker):
    told = Told()
    callbacks = Callbacks(on_progress=told)
    async with new_stream(speaker, grace_s=None, callbacks=callbacks) as stream:
        await stream.write(sound(300))
        await asyncio.sleep(0.1)
        stream.pause()
        await asyncio.sleep(1)
        stream.resume()
        await asyncio.sleep(1)
        stream.pause()  # the sound ran out 800 ms ago
        await asyncio.sleep(1)
        stream.resume()
        await stream.write(sound(300))
        await asyncio.sleep(0.05)
        playout = await stream.interrupt()
    await asyncio.sleep(0)
    assert told.runs() == [(0, 100, 0), (100, 300, 1100), (300, 350, 3100)]
    assert playout.played_ms == pytest.approx(350, abs=1)


def test_a_run_is_a_value():
    assert Progress(0, 100, 1.5) == Progress(0, 100, 1.5)


# All of it, against a model that a reader can check

MS = 24  # samples
PIECES = st.tuples(
    st.just("write"),
    st.integers(0, 300),
    st.one_of(
        st.none(),
        st.text(alphabet="ab 你", max_size=20),
        st.lists(st.integers(0, 400), max_size=4).map(sorted),
    ),
)
STEPS = st.one_of(
    PIECES,
    PIECES,
    st.tuples(st.just("sleep"), st.integers(0, 400), st.none()),
    st.tuples(
        st.sampled_from(["mark", "pause", "resume", "gap", "restore"]), st.just(0), st.none()
    ),
)


class Model:
    """Knows of each sample whether it was heard, and what begins there; no other arithmetic.

    Every sample says which one it is, so that what the speaker was told shows what was sent,
    what was sent again, and what a gap has dropped.
    """

    def __init__(self):
        self.written = 0
        self.words = []  # (sample, word)
        self.marks = []  # (samples before it, name)
        self.passed = []
        self.heard = set()

    def write(self, size, said):
        if isinstance(said, str):
            for n, character in enumerate(said):
                if character == "你" or (character != " " and (n == 0 or said[n - 1] in " 你")):
                    self.words.append([self.written + n * size // len(said), character])
                elif character != " ":
                    self.words[-1][1] += character
        else:
            self.words += [[self.written + at_ms * MS, f"w{at_ms}"] for at_ms in said or ()]
        self.written += size

    def look(self, log, position, total, queued):
        """Take note of what was heard; so many samples were played, were sent, and wait."""
        sent = []
        for _, what, pcm in log:
            if what == "say":
                first = int.from_bytes(pcm[:2], "little")
                while sent and sent[-1] >= first:
                    sent.pop()
                sent.extend(range(first, first + len(pcm) // 2))
        waiting = range(self.written - queued, self.written)
        del sent[total:]  # that was taken back
        self.heard.update(sent[:position])
        unheard = {*sent[position:], *waiting} - self.heard
        for at, name in self.marks[len(self.passed) :]:
            if not sent or min(unheard, default=at) < at:
                break
            self.passed.append(name)

    @property
    def text(self):
        return "".join(word for at, word in self.words if at in self.heard)


class Program:
    """Does one thing after the other to a turn and to its model, and compares them."""

    def __init__(self, speaker, stream, drops):
        self.speaker = speaker
        self.stream = stream
        self.drops = drops
        self.model = Model()
        self.is_in_gap = False

    async def step(self, what, amount, said):
        await getattr(self, what)(amount, said)
        playout = self.stream._playout()
        durations_ms = playout.played_ms, playout.sent_ms, self.stream.queued_ms
        self.model.look(self.speaker.log, *(round(ms * MS) for ms in durations_ms))
        assert playout.heard == tuple(self.model.passed)
        assert playout.heard_text.replace(" ", "") == self.model.text

    async def write(self, amount, said):
        size = amount * MS
        if self.model.written + size > 65_000:
            return
        pcm = PLACES[1][self.model.written * 2 : (self.model.written + size) * 2]
        words = [(f"w{at_ms}", at_ms) for at_ms in said] if isinstance(said, list) else None
        await self.stream.write(pcm, text=said if isinstance(said, str) else None, words=words)
        self.model.write(size, said)

    async def sleep(self, amount, said):
        await asyncio.sleep(amount / 1000)

    async def mark(self, amount, said):
        self.model.marks.append((self.model.written, str(len(self.model.marks))))
        self.stream.mark(self.model.marks[-1][1])

    async def pause(self, amount, said):
        self.stream.pause()

    async def resume(self, amount, said):
        self.stream.resume()

    async def gap(self, amount, said):
        if not self.is_in_gap:
            self.is_in_gap = self.speaker.is_lost = True
            self.stream.hold(drop=self.drops)

    async def restore(self, amount, said):
        if self.is_in_gap:
            self.is_in_gap = self.speaker.is_lost = False
            self.stream.go_on()


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=14),
    end=st.sampled_from(["interrupt", "finish"]),
    drops=st.booleans(),
)
def test_against_a_model(steps, end, drops):
    @virtual
    async def test():
        speaker, marked = FakeSpeaker(), Told()
        stream = new_stream(
            speaker,
            keep_ms=0 if drops else 2000,
            grace_s=None,
            buffer_ms=60_000,
            callbacks=Callbacks(on_mark=marked),
        )
        program = Program(speaker, stream, drops)
        async with stream:
            for step in steps:
                await program.step(*step)
            await program.restore(0, None)
            stream.resume()
            if end == "interrupt":
                stream.interrupt_nowait()
        playout = await stream.wait_playout()
        await asyncio.sleep(0)
        model = program.model
        assert tuple(name for _, name in marked.said) == playout.heard
        if playout.reason == "completed" and playout.sent_ms and not playout.dropped_ms:
            assert playout.heard == tuple(name for _, name in model.marks)
            assert playout.heard_text.replace(" ", "") == "".join(word for _, word in model.words)
        assert stream._hearing._timer is None
        assert len(asyncio.all_tasks()) == 1

    test()
