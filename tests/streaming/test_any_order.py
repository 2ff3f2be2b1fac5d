"""All that can be done to turns of speech, in any order, in virtual time."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_interleavings import PLACES
from virtual import MONO_24K, FakeSpeaker, VirtualLoop, new_stream

from avatarwire.streaming import Callbacks
from avatarwire.streaming.register import StreamTotals

FRAME_MS = 40
#: Of which each says which one it is.
MOST_SAMPLES = 65_000
#: What ends a turn comes seldom: of turns that are over there is not much to try.
SELDOM = st.sampled_from([False] * 6 + [True])
KEEP_MS = {"fail": None, "drop": 0, "resume": 2000}
ON_GAP = st.sampled_from(sorted(KEEP_MS))
GRACES_S = st.sampled_from([None, 5.0])
FIRST_MS = st.sampled_from([0, 300, 700, 700])


class AnyOrder(RuleBasedStateMachine):
    """One turn after the other; calls and mishaps come where they please, and more than once."""

    steps = 0

    def __init__(self):
        super().__init__()
        self.loop = VirtualLoop()
        self.stream = None

    def do(self, call, *args, **options):
        """Make a call on the loop, and let what it has set off begin."""

        async def run():
            result = call(*args, **options)
            await asyncio.sleep(0)
            return result

        type(self).steps += 1
        return self.loop.run_until_complete(run())

    @initialize(on_gap=ON_GAP, grace_s=GRACES_S, first_ms=FIRST_MS)
    def begin(self, on_gap, grace_s, first_ms):
        self.on_gap = on_gap
        self.speaker = FakeSpeaker()
        self.marks, self.runs, self.started, self.writers, self.playouts = [], [], [], [], []
        self.samples = 0
        self.is_in_gap = self.has_cut = self.has_dropped = False
        self.sums = StreamTotals()
        self.named = []
        callbacks = Callbacks(
            on_started=lambda: self.started.append(1),
            on_mark=self.marks.append,
            on_progress=self.runs.append,
        )
        self.stream = new_stream(
            self.speaker,
            keep_ms=KEEP_MS[on_gap],
            grace_s=grace_s,
            start_grace_s=grace_s,
            callbacks=callbacks,
            buffer_ms=300,
        )
        self.loop.run_until_complete(self.stream.__aenter__())
        self.waiters = [self.loop.create_task(self.stream.wait_playout()) for _ in range(2)]
        self.write(first_ms, "first ", None)

    # What a program does

    @rule(
        ms=st.sampled_from([0, 7, 40, 250, 400, 700]),
        text=st.sampled_from([None, "one ", "two"]),
        timeout=st.sampled_from([None, 0.05, 0.05, 2]),
    )
    def write(self, ms, text, timeout):
        waiting = [writer for writer in self.writers if not writer.done()]
        size = min(ms * 24, MOST_SAMPLES - self.samples)
        if waiting or not self.stream.is_open:
            size = 0  # in the order of the writes, and nothing behind the end
        pcm = PLACES[1][self.samples * 2 : (self.samples + size) * 2]
        before_ms = self.stream.written_ms

        async def write():
            try:
                return await self.stream.write(pcm, text=text, timeout=timeout)
            except TimeoutError:
                return None

        self.writers.append(self.loop.create_task(write()))
        self.do(lambda: None)
        self.do(lambda: None)
        if self.stream.written_ms == before_ms and size:  # it waits for room first
            self.writers[-1].cancel()
            self.do(lambda: None)
            size = 0
        self.samples += size

    @rule(name=st.sampled_from(["one", "two"]))
    def mark(self, name):
        if self.stream.is_open:
            self.named.append(name)
        self.do(self.stream.mark, name)

    @rule()
    def pause(self):
        self.do(self.stream.pause)

    @rule()
    def resume(self):
        self.do(self.stream.resume)
        assert not self.stream.is_paused

    @rule(does=SELDOM)
    def finish(self, does):
        if not does:
            return
        self.do(self.stream.finish_nowait)
        assert not self.stream.is_open

    @rule(does=SELDOM, notify=st.booleans())
    def interrupt(self, does, notify):
        if not does:
            return
        self.playouts.append(self.do(self.stream.interrupt_nowait, notify=notify))

    # What happens to it

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.1, 0.2, 0.3, 8]))
    def wait(self, seconds):
        type(self).steps += 1
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule()
    def cut(self):
        """Lose the connection; what was to be sent may have noticed it before."""
        if self.on_gap == "fail" and not self.is_in_gap:
            return
        self.speaker.is_lost = self.is_in_gap = self.has_cut = True
        if self.on_gap == "fail":
            self.playouts.append(self.do(self.stream.end, "lost"))
        else:
            self.has_dropped |= self.on_gap == "drop"
            self.do(self.stream.hold, drop=self.on_gap == "drop")

    @rule(does=SELDOM)
    def fail(self, does):
        """Lose it without anyone having told so."""
        if not does:
            return
        self.speaker.is_lost = self.is_in_gap = self.has_cut = True

    @precondition(lambda self: self.is_in_gap)
    @rule()
    def restore(self):
        if self.speaker.is_lost and not self.stream.is_resolved and self.on_gap != "fail":
            self.cut()
        self.speaker.is_lost = self.is_in_gap = False
        self.do(self.stream.go_on)

    @rule(does=SELDOM)
    def stop(self, does):
        if does:
            self.playouts.append(self.do(self.stream.end, "lost"))

    @rule(reason=st.sampled_from(["completed", "interrupted", "failed"]))
    def told(self, reason):
        """The platform says how it ended, rightly or not."""
        if not self.stream.sends:
            self.playouts.append(self.do(self.stream.end, reason, notify=False))

    @rule()
    def speaking(self):
        self.do(lambda: self.stream.start.said(self.loop.time()))

    @rule(is_full=st.booleans())
    def full(self, is_full):
        self.do(self.speaker.room.clear if is_full else self.speaker.room.set)

    @precondition(lambda self: self.stream.is_resolved)
    @rule(on_gap=ON_GAP, grace_s=GRACES_S, first_ms=FIRST_MS)
    def next_turn(self, on_gap, grace_s, first_ms):
        self.end()
        self.begin(on_gap, grace_s, first_ms)

    # What always holds

    @invariant()
    def sums_only_grow(self):
        if self.stream is None:
            return
        totals = StreamTotals().plus(self.stream)
        dropped_ms = totals.written_ms - totals.sent_ms - totals.queued_ms
        grown = totals._replace(queued_ms=dropped_ms)
        assert all(now >= before - 1e-6 for now, before in zip(grown, self.sums, strict=True))
        assert totals.queued_ms >= 0
        self.sums = grown

    @invariant()
    def accounts_add_up(self):
        if self.stream is None:
            return
        playout = self.do(self.stream._playout)
        assert playout.written_ms == pytest.approx(self.samples / 24)
        assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
        assert 0 <= self.stream.queued_ms <= playout.dropped_ms + 1e-6
        assert 0 <= playout.played_ms <= playout.sent_ms + 1e-6
        assert not (self.stream.is_paused and self.stream.is_resolved)
        if self.stream.is_paused:
            assert self.stream not in self.stream._pacer._grain_of
        assert list(playout.heard) == self.named[: len(playout.heard)]

    def end(self):
        """End the turn, and check what has become of it."""
        if self.is_in_gap:
            self.restore()
        self.do(self.speaker.room.set)
        self.do(self.stream.resume)
        self.do(self.stream.finish_nowait)

        async def over():
            taken = await asyncio.gather(*self.writers, return_exceptions=True)
            return taken, [await waiter for waiter in self.waiters]

        _, (playout, again) = self.loop.run_until_complete(over())
        self.do(lambda: None)
        assert playout == again == self.do(self.stream._playout)
        assert all(replace(early) == playout for early in self.playouts[-1:])
        assert {early.reason for early in self.playouts} <= {playout.reason}
        assert len(self.started) <= 1
        assert (playout.started_ms is not None) == bool(self.started)
        assert self.marks == list(playout.heard)
        self.check_runs(playout)
        self.check_sound(playout)
        assert len(self.stream._pacer) == 0
        self.loop.run_until_complete(asyncio.sleep(0))
        assert not asyncio.all_tasks(self.loop)

    def check_runs(self, playout):
        to_ms = 0.0
        for run in self.runs:
            assert run.from_ms == to_ms < run.to_ms
            to_ms = run.to_ms
        # What a gap took back in the middle of a frame is heard again.
        assert playout.played_ms - 0.1 <= to_ms < playout.played_ms + FRAME_MS + 0.1

    def check_sound(self, playout):
        """Check that what was sent follows what was heard, and is all when it is complete."""
        heard, ends_at_s = [], 0.0
        for at_s, what, pcm in self.speaker.log:
            if what == "pause":  # the platform drops what it has not played
                unheard = max(0, round((ends_at_s - at_s) * MONO_24K.sample_rate))
                del heard[len(heard) - unheard :]
                ends_at_s = at_s
            if what == "restart":  # after a gap nothing of the last connection plays
                ends_at_s = at_s
            if what != "say":
                continue
            first = int.from_bytes(pcm[:2], "little")
            if self.has_cut:
                heard = [sample for sample in heard if sample < first]
            assert self.has_dropped or first == len(heard)
            heard.extend(range(first, first + len(pcm) // 2))
            ends_at_s = max(ends_at_s, at_s) + len(pcm) / MONO_24K.bytes_per_second
        if playout.reason in {"completed", "timed_out"} and not playout.dropped_ms:
            assert heard == list(range(self.samples))
        if not self.has_cut:
            assert len(heard) == round(playout.sent_ms * MONO_24K.sample_rate / 1000)

    def teardown(self):
        try:
            if self.stream is not None:
                self.end()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
