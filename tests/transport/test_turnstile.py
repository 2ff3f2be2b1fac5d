import asyncio
import itertools

import pytest

from avatarwire.transport import turnstile
from avatarwire.transport.turnstile import MOST_AT_ONCE, in_turn, pass_turnstile

MANY = 5 * MOST_AT_ONCE


class Crowd:
    """Tasks that want to pass; each notes in which iteration of the event loop it did."""

    def __init__(self, count):
        self.iteration = 0
        self.passed = []
        self.tasks = [asyncio.create_task(self._pass(number)) for number in range(count)]

    async def _pass(self, number):
        await pass_turnstile()
        self.passed.append((number, self.iteration))

    async def all_have_passed(self):
        while not all(task.done() for task in self.tasks):
            await asyncio.sleep(0)
            self.iteration += 1


async def test_few_pass_at_once_the_others_in_order():
    crowd = Crowd(MANY)
    await crowd.all_have_passed()
    assert [number for number, _ in crowd.passed] == list(range(MANY))
    iterations = [iteration for _, iteration in crowd.passed]
    assert max(map(iterations.count, iterations)) == MOST_AT_ONCE
    assert len(set(iterations)) == MANY / MOST_AT_ONCE


async def test_what_is_called_in_turn_waits_its_turn_too():
    called = []
    for number in range(MANY):
        in_turn(lambda number=number: called.append(number))
    assert called == list(range(MOST_AT_ONCE))
    counts = []
    while len(called) < MANY:
        await asyncio.sleep(0)
        counts.append(len(called))
    assert called == list(range(MANY))
    steps = [after - before for before, after in itertools.pairwise([MOST_AT_ONCE, *counts])]
    assert max(steps) == MOST_AT_ONCE


async def test_one_alone_waits_for_nothing():
    for _ in range(3):
        passing = pass_turnstile()
        with pytest.raises(StopIteration):
            passing.send(None)
        for _ in range(2):
            await asyncio.sleep(0)
    assert turnstile._here.turnstile is None


async def test_who_comes_late_does_not_overtake():
    crowd = Crowd(MANY)
    for _ in range(2):
        await asyncio.sleep(0)
    late = Crowd(1)
    late.passed = crowd.passed
    await crowd.all_have_passed()
    await late.all_have_passed()
    assert len(crowd.passed) == MANY + 1
    assert crowd.passed[-1][0] == 0


async def test_who_is_cancelled_takes_nobody_s_turn():
    crowd = Crowd(MANY)
    await asyncio.sleep(0)
    for task in crowd.tasks[MOST_AT_ONCE : 3 * MOST_AT_ONCE]:
        task.cancel()
    await crowd.all_have_passed()
    assert len(crowd.passed) == MANY - 2 * MOST_AT_ONCE
    assert len({iteration for _, iteration in crowd.passed}) == 3


def test_a_loop_that_ended_meanwhile_leaves_the_next_one_alone():
    async def crowd():
        await Crowd(MANY).all_have_passed()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(pass_turnstile())
    loop.close()
    assert turnstile._here.turnstile.loop is loop
    asyncio.run(asyncio.wait_for(crowd(), 5))
