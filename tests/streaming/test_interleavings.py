"""Whatever happens to a turn in whatever order: what must always hold."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import MONO_24K, FakeSpeaker, new_stream, sound, virtual

from avatarwire.audio import PcmFormat, Resampler

STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 90_001)),
    st.tuples(st.just("sleep"), st.integers(0, 1500)),
    st.tuples(st.just("stall"), st.integers(1, 900)),
    st.tuples(st.sampled_from(["full", "room", "speaking", "idle", "cancel a writer"]), st.just(0)),
)
ENDS = st.sampled_from(["leave", "interrupt", "raise", "lose", "platform fails", "finish twice"])
LEAD_MS = 400


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
    pcm = sound(2000)
    written = PcmFormat(44_100, 2) if stereo else MONO_24K
    converter = Resampler(rate_in=44_100, rate_out=24_000, channels_in=2) if stereo else None

    async def act(stream, loop, tasks):
        for what, amount in steps:
            match what:
                case "write":
                    tasks.append(asyncio.create_task(stream.write(pcm[:amount])))
                    await asyncio.sleep(0)
                case "sleep":
                    await asyncio.sleep(amount / 1000)
                case "stall":
                    loop.stall(amount / 1000)
                case "full":
                    speaker.room.clear()
                case "room":
                    speaker.room.set()
                case "speaking":
                    stream.notice_speaking()
                case "idle":
                    stream.notice_idle()
                case "cancel a writer" if tasks:
                    tasks[-1].cancel()
        if end != "interrupt":
            speaker.room.set()
        match end:
            case "interrupt":
                await stream.interrupt()
            case "raise":
                raise KeyError
            case "lose":
                speaker.is_lost = True
            case "platform fails":
                stream.end("failed", notify=False)
            case "finish twice":
                await asyncio.gather(stream.finish(), stream.finish())

    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        stream = new_stream(
            speaker, written=written, converter=converter, paced=paced, frame_ms=frame_ms
        )
        tasks = []
        try:
            async with stream:
                await act(stream, loop, tasks)
        except KeyError:
            assert end == "raise"
        after_leaving = len(speaker.log)
        playout = await stream.wait_playout()
        assert await stream.write(bytes(written.frame_bytes * written.sample_rate)) is False
        late = await stream.wait_playout()

        # Accounted for, to the sample.
        assert playout.written_ms == pytest.approx(playout.sent_ms + playout.dropped_ms)
        assert late.written_ms == pytest.approx(late.sent_ms + late.dropped_ms)
        assert late.dropped_ms == pytest.approx(playout.dropped_ms + 1000, abs=0.1)
        assert late.sent_ms == playout.sent_ms == pytest.approx(MONO_24K.ms(len(speaker.pcm)))
        assert playout.dropped_ms >= 0
        assert 0 <= playout.played_ms <= playout.sent_ms + 1e-6
        if end in {"leave", "finish twice"}:
            assert playout.dropped_ms == 0
        # In order on the wire, and nothing stale.
        words = speaker.words
        assert words[0] == "start"
        assert words.count("finish") == (0 if speaker.is_lost and "finish" not in words else 1)
        assert words.count("interrupt") <= 1
        assert "say" not in words[words.index("finish") :] if "finish" in words else True
        assert "say" not in words[words.index("interrupt") :] if "interrupt" in words else True
        assert "say" not in words[after_leaving:]
        # Never further ahead than the lead; less than a frame of lead is a frame.
        if paced:
            played_s = end_s = 0.0
            for at_s, what, piece in speaker.log:
                if what == "say":
                    end_s = max(end_s, at_s) + len(piece) / MONO_24K.bytes_per_second
                    played_s = at_s
                    assert end_s - played_s <= max(LEAD_MS, frame_ms) / 1000 + 0.002
        # Nothing is left behind.
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert len(stream._pacer) == 0
        assert len(asyncio.all_tasks()) == 1

    test()
