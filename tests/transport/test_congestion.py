import asyncio

from avatarwire.transport.congestion import MAX_UNREAD_ANSWERS_BYTES, Congestion


def make(limit_s=None, left_bytes=lambda: 0):
    stalls = []
    return Congestion(limit_s, lambda: stalls.append("stalled"), left_bytes), stalls


async def test_everyone_waits_until_it_is_resolved():
    congestion, stalls = make(60)
    waiting = [asyncio.create_task(congestion.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, True, False]
    congestion.resolve()
    await asyncio.gather(waiting[0], waiting[2])
    assert stalls == []


async def test_one_that_lasts_is_told():
    congestion, stalls = make(0.001)
    waiting = asyncio.create_task(congestion.wait())
    async with asyncio.timeout(5):
        while not stalls:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert not waiting.done()
    congestion.resolve()
    await waiting
    assert stalls == ["stalled"]


async def test_a_peer_that_reads_slowly_has_not_stopped_reading():
    left = [5, 4, 3, 3]
    congestion, stalls = make(0.001, lambda: left.pop(0))
    async with asyncio.timeout(5):
        while not stalls:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert left == []
    congestion.resolve()


async def test_one_that_is_resolved_in_time_is_not_told():
    congestion, stalls = make(0.001)
    congestion.resolve()
    await asyncio.sleep(0.01)
    assert stalls == []


async def test_answers_that_are_not_read_are_told_once_they_are_too_many():
    congestion, stalls = make()
    congestion.count_unread(MAX_UNREAD_ANSWERS_BYTES)
    assert stalls == []
    congestion.count_unread(1)
    congestion.count_unread(MAX_UNREAD_ANSWERS_BYTES)
    assert stalls == ["stalled"]
