"""A loop that ends closes what is open, by one task however much is."""

import asyncio

from avatarwire.transport import Link, loop_end, memory_pair


class Ends:
    def __init__(self):
        self.seen = []

    def receive(self, message):
        raise AssertionError(message)

    def link_ended(self, code, reason):
        self.seen.append((code, reason))

    async def loop_ends(self):
        self.seen.append("the loop's end")


async def open_link():
    client, server = memory_pair()

    async def dial():
        return client

    ends = Ends()
    link = Link(dial, ends)
    await link.open()
    return link, server, ends


def watchers():
    return [task for task in asyncio.all_tasks() if "end of the loop" in task.get_name()]


def test_what_is_open_is_closed_with_its_loop():
    lines = []

    async def main():
        lines.extend([await open_link() for _ in range(3)])
        assert len(watchers()) == 1
        await lines[0][0].close(4000)

    asyncio.run(main())
    assert [(server.close_code, ends.seen) for _, server, ends in lines] == [
        (4000, [(4000, "")]),
        (1000, ["the loop's end"]),
        (1000, ["the loop's end"]),
    ]
    assert not loop_end._of_loops


async def test_the_last_that_ends_leaves_no_task():
    (one, _, _), (other, _, _) = [await open_link() for _ in range(2)]
    await one.close()
    assert len(watchers()) == 1
    await other.close()
    assert watchers() == []
    third, _, _ = await open_link()
    assert len(watchers()) == 1
    await third.close()


def test_a_loop_that_was_closed_without_its_tasks_is_forgotten():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(open_link())
    loop.close()

    async def main():
        link, _, _ = await open_link()
        assert list(loop_end._of_loops) == [asyncio.get_running_loop()]
        await link.close()

    asyncio.run(main())
