"""Partial results are thinned out, and nothing that matters is lost."""

import asyncio

import pytest
from agents import config_for

from avatarwire import AvatarAgent, SessionLost
from avatarwire.liveavatar.recognition import Partials


class Outlet:
    def __init__(self):
        self.events = []
        self.lost = False

    def require_open(self):
        if self.lost:
            raise SessionLost

    def write_event(self, event):
        self.require_open()
        self.events.append(event)
        return True


class Lane:
    """Partials, and what they sent."""

    def __init__(self):
        self.outlet = Outlet()
        self.partials = Partials(self.outlet)

    def say(self, text, request="r", interval_ms=0):
        return self.partials.add(request, text, f"{request}:{text}", interval_ms)

    @property
    def sent(self):
        return self.outlet.events


async def test_an_unchanged_text_is_dropped_and_counted():
    lane = Lane()
    for text in ("he", "he", "hello", "hello", "hello", "he"):
        lane.say(text)
    assert lane.sent == ["r:he", "r:hello", "r:he"]
    assert lane.partials.dropped == 3


async def test_the_same_text_of_another_utterance_is_sent():
    lane = Lane()
    lane.say("yes", "r")
    lane.say("yes", "s")
    lane.partials.end_utterance()
    lane.say("yes", "s")
    assert lane.sent == ["r:yes", "s:yes", "s:yes"]


async def test_within_the_interval_only_the_latest_is_kept():
    lane = Lane()
    for text in ("a", "ab", "abc", "abc", "abcd"):
        lane.say(text, interval_ms=60_000)
    assert lane.sent == ["r:a"]
    left_s = lane.partials._timer.when() - asyncio.get_running_loop().time()
    assert 0 < left_s <= 60
    lane.partials._tick()
    assert lane.sent == ["r:a", "r:abcd"]
    assert lane.partials.dropped == 3
    lane.say("abcde", interval_ms=60_000)
    assert lane.sent == ["r:a", "r:abcd"], "the interval counts from what was sent last"
    lane.partials.end_utterance()


async def test_what_waits_leaves_by_itself():
    lane = Lane()
    lane.say("a", interval_ms=1)
    lane.say("ab", interval_ms=1)
    await asyncio.sleep(0.05)
    assert lane.sent == ["r:a", "r:ab"]


async def test_going_back_to_what_was_sent_takes_back_what_waits():
    lane = Lane()
    for text in ("a", "ab", "a"):
        lane.say(text, interval_ms=60_000)
    assert lane.partials.dropped == 2
    lane.partials.flush()
    assert lane.sent == ["r:a"]


async def test_another_utterance_does_not_wait():
    lane = Lane()
    for text, request in (("a", "r"), ("ab", "r"), ("x", "s")):
        lane.say(text, request, interval_ms=60_000)
    assert lane.sent == ["r:a", "s:x"]
    assert lane.partials.dropped == 1


async def test_what_waits_is_dropped_with_its_session():
    lane = Lane()
    for text in ("a", "ab"):
        lane.say(text, interval_ms=60_000)
    lane.outlet.lost = True
    lane.partials._tick()
    assert (lane.sent, lane.partials.dropped) == (["r:a"], 1)
    for text in ("ab", "a"):
        with pytest.raises(SessionLost):
            lane.say(text, interval_ms=60_000)


async def test_partials_keep_their_place_among_the_other_events(emulator, listener):
    config = config_for(emulator, asr_partial_min_interval_ms=60_000)
    async with AvatarAgent(config, listener) as agent:
        (session,) = emulator.sessions
        await agent.send_voice_start("r")
        for seq, text in enumerate(("a", "ab", "abc"), 1):
            await agent.send_asr_partial("r", text, seq)
        await agent.send_voice_finish("r")
        await agent.send_asr_partial("r", "abcd", 4)
        await agent.send_asr_final("r", "abcde")
        await agent.send_asr_partial("r", "abcd", 5)
        await session.wait_for("input.asr.final")
        await session.wait_for("input.asr.partial")
        assert agent.dropped_asr_partials == 2
    assert [
        (event["event"], event.get("seq"), event.get("data", {}).get("text"))
        for event in session.events
        if event["event"].startswith("input.")
    ] == [
        ("input.voice.start", None, None),
        ("input.asr.partial", 1, "a"),
        ("input.asr.partial", 3, "abc"),
        ("input.voice.finish", None, None),
        ("input.asr.final", None, "abcde"),
        ("input.asr.partial", 5, "abcd"),
    ]
