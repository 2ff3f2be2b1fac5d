"""A turn that is paused, and what its platform heard: the same for every platform."""

import asyncio
import random
import time

import pytest

PAUSE_S = 0.5
SOUND_S = 2.0
#: What the listener of a paused turn must not miss, nor hear twice, beyond this.
FRAME_S = 0.04


async def pause_once(stream, pcm, chance, ready):
    """Say ``pcm``, with a pause somewhere; return its length and what became of the turn.

    Args:
        stream: the turn.
        pcm: its sound.
        chance: where the pause is.
        ready: a barrier of all the turns: what others connect to meanwhile delays what is heard.
    """
    await ready.wait()
    await asyncio.sleep(chance.uniform(0, 1))  # one after the other
    at_s = chance.uniform(0.02, SOUND_S - 0.1)
    async with stream:
        await stream.write(pcm)
        if chance.random() < 0.5:
            stream.finish_nowait()
        await asyncio.sleep(at_s)
        begun_s = time.monotonic()
        stream.pause()
        stood_ms = stream.queued_ms, stream.position_ms
        await asyncio.sleep(PAUSE_S)
        assert (stream.queued_ms, stream.position_ms) == stood_ms
        paused_s = time.monotonic() - begun_s
        stream.resume()
    return paused_s, await stream.wait_playout(10)


def check_what_was_heard(pcm, bytes_per_s, said, stopped_s, paused_s):
    """Check the sound of one turn, of which ``said`` is (time, sound), with a stop between.

    The platform plays what comes, each piece behind the one before, and drops the rest at a stop.
    """
    before = [(at_s, piece) for at_s, piece in said if at_s <= stopped_s]
    again = [(at_s, piece) for at_s, piece in said if at_s > stopped_s]
    first, second = (b"".join(piece for _, piece in part) for part in (before, again))
    goes_on_at = len(pcm) - len(second)
    assert pcm[:goes_on_at] + second == pcm
    assert pcm.startswith(first)
    assert goes_on_at <= len(first)
    assert all(len(piece) > 0 for _, piece in said)
    played_s, end_s = 0.0, before[0][0]
    for at_s, piece in before:
        end_s = max(end_s, at_s) + len(piece) / bytes_per_s
        played_s += len(piece) / bytes_per_s
    played_s -= max(0.0, end_s - stopped_s)
    assert goes_on_at / bytes_per_s == pytest.approx(played_s, abs=FRAME_S)
    assert again[0][0] - stopped_s == pytest.approx(paused_s, abs=FRAME_S)


def places(count):
    """Give as many sources of chance."""
    return [random.Random(seed) for seed in range(count)]  # noqa: S311
