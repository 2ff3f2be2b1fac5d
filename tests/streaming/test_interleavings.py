"""Whatever happens to a turn in whatever order: what must always hold."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual import MONO_24K, FakeSpeaker, new_stream, sound, virtual

from avatarwire.audio import PcmFormat, Resampler

STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 90_001)),
    st.tuples(st.just("sleep"), st.integers(0, 1500)),
    st.tuples(st.just("stall"), st.integers(1, 900)),
    st.tuples(st.sampled_from(["full", "room", "cancel a writer"]), st.just(0)),
)
ENDS = st.sampled_from(["leave", "interrupt", "raise", "lose", "platform fails", "finish twice"])
LEAD_MS = 400
PCM = sound(2000)


class Program:
    """Does one thing after the other to a turn."""

    def __init__(self, speaker, stream):
        self.speaker = speaker
        self.stream = stream
        self.writers = []

    async def step(self, what, amount):
        loop = asyncio.get_running_loop()
        instant = {
            "stall": lambda: loop.stall(amount / 1000),
            "full": self.speaker.room.clear,
            "room": self.speaker.room.set,
            "cancel a writer": lambda: self.writers and self.writers[-1].cancel(),
            "write": lambda: self.writers.append(
                asyncio.create_task(self.stream.write(PCM[:amount]))
            ),
        }
        if what in instant:
            instant[what]()
        await asyncio.sleep(amount / 1000 if what == "sleep" else 0)

    async def end(self, how):
        if how != "interrupt":
            self.speaker.room.set()
        if how == "interrupt":
            await self.stream.interrupt()
        elif how == "raise":
            raise KeyError
        elif how == "lose":
            self.speaker.is_lost = True
        elif how == "platform fails":
            self.stream.end("failed", notify=False)
        elif how == "finish twice":
            await asyncio.gather(self.stream.finish(), self.stream.finish())


def check_accounts(speaker, playout, late):
    """Check both, of which the later one is told after another second was written in vain."""
    assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
    assert late.written_ms == pytest.approx(late.sent_ms + late.dropped_ms)
    assert late.dropped_ms == pytest.approx(playout.dropped_ms + 1000, abs=0.1)
    assert late.sent_ms == playout.sent_ms == pytest.approx(MONO_24K.ms(len(speaker.pcm)))
    assert playout.dropped_ms >= 0
    assert 0 <= playout.played_ms <= playout.sent_ms + 1e-6  # rounding


def check_wire(speaker):
    """Check that it is one turn, and that no sound is behind its end."""
    words = speaker.words
    assert words[0] == "start"
    assert words.count("finish") == 1 or (speaker.is_lost and "finish" not in words)
    assert words.count("interrupt") <= 1
    for end in ("finish", "interrupt"):
        assert end not in words or "say" not in words[words.index(end) :]


def check_lead(speaker, frame_ms):
    """Check that it is a ceiling; less than a frame is a frame."""
    end_s = 0.0
    for at_s, what, piece in speaker.log:
        if what == "say":
            end_s = max(end_s, at_s) + len(piece) / MONO_24K.bytes_per_second
            assert end_s - at_s <= max(LEAD_MS, frame_ms) / 1000 + 0.002


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=15),
    end=ENDS,
    paced=st.booleans(),
    frame_ms=st.sampled_from([1, 40, 170]),
    stereo=st.booleans(),
)
def test_what_always_holds(steps, end, paced, frame_ms, stereo):
    speaker = FakeSpeaker()
    written = PcmFormat(44_100, 2) if stereo else MONO_24K
    converter = Resampler(rate_in=44_100, rate_out=24_000, channels_in=2) if stereo else None
    stream = new_stream(
        speaker, written=written, converter=converter, paced=paced, frame_ms=frame_ms
    )
    program = Program(speaker, stream)

    async def turn():
        async with stream:
            for what, amount in steps:
                await program.step(what, amount)
            await program.end(end)

    @virtual
    async def test():
        (outcome,) = await asyncio.gather(turn(), return_exceptions=True)
        assert isinstance(outcome, KeyError if end == "raise" else type(None))
        sent = len(speaker.log)
        playout = await stream.wait_playout()
        assert await stream.write(bytes(written.bytes_per_second)) is False
        assert speaker.words[sent:] == []
        check_accounts(speaker, playout, await stream.wait_playout())
        if end in {"leave", "finish twice"}:
            assert playout.dropped_ms == 0
        check_wire(speaker)
        if paced:
            check_lead(speaker, frame_ms)
        # Nothing is left behind.
        await asyncio.gather(*program.writers, return_exceptions=True)
        await asyncio.sleep(0)
        assert len(stream._pacer) == 0
        assert len(asyncio.all_tasks()) == 1

    test()


# Another connection

GAP_STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 7)),
    st.tuples(st.just("write"), st.integers(0, 5001)),
    st.tuples(st.just("sleep"), st.integers(0, 700)),
    st.tuples(st.sampled_from(["full", "room", "fails", "gap", "restore"]), st.just(0)),
)
KEEP_MS = {"fail": None, "drop": 0, "resume": 2000}
# Sound that tells where it is from: no two samples are the same.
PLACES = {channels: b"".join(n.to_bytes(2 * channels, "little") for n in range(65_536))
          for channels in (1, 2)}  # fmt: skip


class GapProgram(Program):
    """Does it over several connections; a gap may come at any time, also after the end."""

    def __init__(self, speaker, stream, mode, format_):
        super().__init__(speaker, stream)
        self.mode = mode
        self.format = format_
        self.written_bytes = [0]  # to each end, and after it
        self.is_in_gap = False

    async def step(self, what, amount):
        if what == "write":
            at = sum(self.written_bytes)
            self.written_bytes[-1] += amount
            pcm = PLACES[self.format.channels][at : at + amount]
            self.writers.append(asyncio.create_task(self.stream.write(pcm)))
            await asyncio.sleep(0)
        elif what == "fails":  # and nobody has told so
            self.speaker.is_lost = True
        elif what == "gap":
            self.gap()
        elif what == "restore":
            self.restore()
        else:
            await super().step(what, amount)
        self.check()

    def gap(self):
        self.speaker.is_lost = self.is_in_gap = True
        if self.mode == "fail":
            self.stream.end("lost")
        else:
            self.stream.hold(drop=self.mode == "drop")

    def restore(self):
        if self.is_in_gap:
            self.speaker.is_lost = self.is_in_gap = False
            self.stream.go_on()

    async def end(self, how):
        if how == "finish":
            if self.stream.is_open:
                self.written_bytes.append(0)
            self.writers.append(asyncio.create_task(self.stream.finish()))
            await asyncio.sleep(0)
        else:
            await self.stream.interrupt()
        self.check()

    @property
    def sent_samples(self):
        return round(self.stream.sent_ms * self.format.sample_rate / 1000)

    def check(self):
        """Check that each whole sample that was written is sent, dropped or waits."""
        playout = self.stream._playout()
        written = sum(size // self.format.frame_bytes for size in self.written_bytes)
        assert playout.written_ms == pytest.approx(written * 1000 / self.format.sample_rate)
        assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
        assert 0 <= self.stream.queued_ms <= playout.dropped_ms + 1e-6
        assert 0 <= playout.played_ms <= playout.sent_ms + 1e-6

    def check_wire(self):
        """Check that each connection got what followed, in order and in whole samples."""
        frame_bytes = self.format.frame_bytes
        end = said = 0
        is_new = True
        for _, what, pcm in self.speaker.log:
            is_new |= what == "restart"
            if what != "say":
                continue
            assert len(pcm) % frame_bytes == 0
            start = int.from_bytes(pcm[:frame_bytes], "little")
            whole = PLACES[self.format.channels]
            assert pcm == whole[start * frame_bytes : start * frame_bytes + len(pcm)]
            if self.mode == "drop":
                assert start >= end
            else:
                assert start == end or (is_new and start < end)
            end = start + len(pcm) // frame_bytes
            said += len(pcm) // frame_bytes
            is_new = False
        assert self.sent_samples == said if self.mode != "resume" else self.sent_samples <= end


@settings(max_examples=500, deadline=None)
@example(  # a turn that ended on half a sample is still being played when the connection is lost
    steps=[("write", 5001)],
    end="finish",
    after=[("gap", 0), ("restore", 0)],
    last="finish",
    mode="drop",
    paced=True,
    channels=1,
)
@given(
    steps=st.lists(GAP_STEPS, max_size=12),
    end=st.sampled_from(["finish", "interrupt"]),
    after=st.lists(GAP_STEPS, max_size=6),
    last=st.sampled_from(["finish", "interrupt"]),
    mode=st.sampled_from(sorted(KEEP_MS)),
    paced=st.booleans(),
    channels=st.sampled_from([1, 2]),
)
def test_what_holds_over_gaps(steps, end, after, last, mode, paced, channels):
    speaker = FakeSpeaker()
    format_ = PcmFormat(24_000, channels)
    stream = new_stream(
        speaker, written=format_, sent=format_, keep_ms=KEEP_MS[mode], paced=paced, buffer_ms=200
    )
    program = GapProgram(speaker, stream, mode, format_)

    @virtual
    async def test():
        async with stream:
            for how, part in ((end, steps), (last, after)):
                for what, amount in part:
                    await program.step(what, amount)
                await program.end(how)
            speaker.room.set()
            if speaker.is_lost:
                program.gap()
            program.restore()
        await stream.wait_playout()
        program.check()
        program.check_wire()
        # Nothing is left behind.
        await asyncio.gather(*program.writers)
        await asyncio.sleep(0)
        assert len(stream._pacer) == 0
        assert len(asyncio.all_tasks()) == 1

    test()
