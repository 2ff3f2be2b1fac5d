"""Pieces of text that come fast are joined, and never lost."""

import asyncio

import pytest

from avatarwire.liveavatar.token_joiner import Joiner, split_half

LONG_MS = 60_000


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("", ("", "")),
        ("word", ("word", "")),
        ("a\ud83d", ("a", "\ud83d")),
        ("\ud83d", ("", "\ud83d")),
        ("a\udc4d", ("a\udc4d", "")),
        ("👍", ("👍", "")),
        ("\ud83d\udc4d", ("\ud83d\udc4d", "")),
    ],
)
def test_a_first_half_at_the_end_is_split_off(text, split):
    assert split_half(text) == split


async def test_without_a_time_each_piece_is_sent():
    written = []
    joiner = Joiner(lambda text: written.append(text) or True, 0)
    assert all(joiner.add(text) for text in ("a", "", "b"))
    assert written == ["a", "b"]


async def test_the_first_piece_never_waits_and_the_others_are_joined():
    written = []
    joiner = Joiner(lambda text: written.append(text) or True, LONG_MS)
    for text in ("a", "b", "", "c"):
        assert joiner.add(text)
    assert written == ["a"]
    left_s = joiner._timer.when() - asyncio.get_running_loop().time()
    assert 0 < left_s <= LONG_MS / 1000
    joiner._tick()
    assert written == ["a", "bc"]
    assert joiner.add("d")
    assert written == ["a", "bc"], "the time counts from what was sent last"
    assert joiner.flush()
    assert joiner.flush()
    assert written == ["a", "bc", "d"]
    assert joiner._timer is None


async def test_the_timer_sends_by_itself():
    written = []
    joiner = Joiner(lambda text: written.append(text) or True, 1)
    joiner.add("a")
    joiner.add("b")
    await asyncio.sleep(0.05)
    assert "".join(written) == "ab"


async def test_closed_it_sends_nothing_more():
    written = []
    joiner = Joiner(lambda text: written.append(text) or True, 1)
    joiner.add("a")
    joiner._next_s = asyncio.get_running_loop().time() + 0.01
    joiner.add("b")
    joiner.close()
    await asyncio.sleep(0.05)
    assert written == ["a"]


async def test_a_full_connection_is_told_to_the_next_piece():
    room = [True, False, True]
    joiner = Joiner(lambda _: room.pop(0), LONG_MS)
    assert joiner.add("a")
    assert joiner.add("b")
    joiner._tick()
    assert not joiner.add("c")
    assert joiner.add("d")
    assert joiner.flush()


async def test_what_the_timer_could_not_send_is_raised_to_the_writer():
    def write(text):
        if text != "a":
            raise ConnectionError("gone")
        return True

    joiner = Joiner(write, LONG_MS)
    joiner.add("a")
    joiner.add("b")
    joiner._tick()
    for call in (joiner.flush, lambda: joiner.add("c")):
        with pytest.raises(ConnectionError, match="gone"):
            call()
