import asyncio

import pytest

from avatarwire.transport import closing
from avatarwire.transport.closing import Closing


class Transport:
    def __init__(self):
        self.calls = []
        self.called = asyncio.Event()

    def abort(self):
        self.calls.append("abort")
        self.called.set()

    def close(self):
        self.calls.append("close")
        self.called.set()


@pytest.fixture
async def transport():
    return Transport()


async def test_a_peer_that_says_nothing_is_cut_off(transport, monkeypatch):
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.001)
    Closing(transport)
    await asyncio.wait_for(transport.called.wait(), 5)
    assert transport.calls == ["abort"]


async def test_a_peer_that_said_goodbye_is_hung_up_on_once(transport, monkeypatch):
    monkeypatch.setattr(closing, "HANG_UP_S", 0.001)
    close = Closing(transport)
    close.expect_hang_up()
    close.expect_hang_up()
    await asyncio.wait_for(transport.called.wait(), 5)
    await asyncio.sleep(0.01)
    assert transport.calls == ["close"]
    close.stop()


async def test_nothing_follows_the_end(transport, monkeypatch):
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.001)
    monkeypatch.setattr(closing, "HANG_UP_S", 0.001)
    close = Closing(transport)
    close.expect_hang_up()
    close.stop()
    await asyncio.sleep(0.01)
    assert transport.calls == []
