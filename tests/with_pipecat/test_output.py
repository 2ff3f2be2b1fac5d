"""What the bot says, as the avatar's turns of speech."""

import pytest
from lines import sound, turn


async def test_a_turn(line):
    pcm = sound(800)
    await line.put(*turn(pcm))
    await line.until(lambda: line.stopped)
    assert line.stopped[0] - line.started[0] == pytest.approx(0.8, rel=0.05)
    (spoken,) = line.session.turns
    assert bytes(spoken.pcm) == pcm
    assert line.recorded == pcm
    assert await line.end() < 2
