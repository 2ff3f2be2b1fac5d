"""Pings, deadlines, and the grace of a loop that stalled."""

import asyncio
import time

from avatarwire.transport import Heartbeat


class Peer:
    """Counts pings, answers some, and notes silence."""

    def __init__(self, interval_s, timeout_s, *, answers=0, takes=True):
        self.pings, self.answers, self.takes = 0, answers, takes
        self.silent = asyncio.Event()
        self.heartbeat = Heartbeat(self, interval_s, timeout_s)

    def send_ping(self):
        self.pings += 1
        if self.pings <= self.answers:
            asyncio.get_running_loop().call_soon(self.heartbeat.heard)
        return self.takes

    def peer_is_silent(self):
        self.silent.set()


async def test_a_peer_that_answers_is_pinged_on_and_one_that_does_not_is_silent():
    peer = Peer(0.01, 0.02, answers=3)
    peer.heartbeat.start()
    await asyncio.wait_for(peer.silent.wait(), 5)
    assert peer.pings == 4


async def test_a_ping_that_another_sent_is_expected_to_be_answered():
    peer = Peer(60, 0.01)
    peer.heartbeat.pinged()
    await asyncio.wait_for(peer.silent.wait(), 5)
    assert peer.pings == 0


async def test_what_cannot_be_sent_is_tried_again_and_nobody_is_silent():
    peer = Peer(0.005, 0.001, takes=False)
    peer.heartbeat.start()
    async with asyncio.timeout(5):
        while peer.pings < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert not peer.silent.is_set()
    peer.heartbeat.stop()


async def test_after_a_stall_what_has_arrived_is_read_first():
    peer = Peer(60, 0.02)
    peer.heartbeat.pinged()
    asyncio.get_running_loop().call_later(0.001, lambda: None)
    time.sleep(0.05)  # noqa: ASYNC251 - the loop stalls past the deadline
    asyncio.get_running_loop().call_soon(peer.heartbeat.heard)  # as if it had been read
    await asyncio.sleep(0.05)
    assert not peer.silent.is_set()
    peer.heartbeat.stop()


async def test_without_an_interval_nothing_is_sent_and_without_a_limit_nobody_is_silent():
    never = Peer(None, 0.001)
    never.heartbeat.start()
    patient = Peer(0.002, None)
    patient.heartbeat.start()
    async with asyncio.timeout(5):
        while patient.pings < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    patient.heartbeat.stop()
    assert never.pings == 0
    assert not patient.silent.is_set()


async def test_one_that_is_stopped_sends_nothing():
    peer = Peer(0.001, 0.001)
    peer.heartbeat.start()
    peer.heartbeat.stop()
    await asyncio.sleep(0.02)
    assert peer.pings == 0
