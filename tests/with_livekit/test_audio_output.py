"""The agent's voice as the avatar's."""

from bench import sound


async def test_a_segment_is_a_turn(bench):
    pcm = sound(600)
    end = await bench.say(pcm)
    assert (end.interrupted, end.playback_position) == (False, 0.6)
    (turn,) = bench.turns
    assert bytes(turn.pcm) == pcm
    assert turn.outcome == "finished"
    assert len(bench.started) == len(bench.finished) == 1
