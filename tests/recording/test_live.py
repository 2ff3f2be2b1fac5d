import asyncio
from array import array

from schemas import errors
from sources import MONO, Told

from avatarwire.recording import Live, Sound, schema


async def taken(live, count):
    items = []
    async with asyncio.timeout(5):
        async for item in live:
            items.append(item)
            if len(items) == count:
                return items
    return items


async def test_records_come_as_in_a_file_with_the_sound_before_them():
    source = Told()
    with Live(source) as live:
        source.to.message("sent", "binary", b"abcd")
        source.to.message("sent", "binary", b"efgh")
        snapshot, first, one, second, two = await taken(live, 5)
    assert snapshot["kind"] == "snapshot"
    assert (first, second) == (Sound("sent", 0, b"abcd", MONO), Sound("sent", 2, b"efgh", MONO))
    assert (one["at"], two["at"]) == (0, 2)
    assert all(errors(record, schema()) == [] for record in (snapshot, one, two))
    assert source.to is None


async def test_what_is_heard_comes_in_stereo():
    source = Told()
    with Live(source) as live:
        now_s = asyncio.get_running_loop().time()
        source.to.sound("a", array("h", [7] * 50).tobytes(), MONO, now_s, now_s)
        items = await taken(live, 2)
    assert isinstance(items[1], Sound)
    assert (items[1].wav, items[1].format.channels) == ("heard", 2)
    assert array("h", items[1].pcm)[1] == 7


async def test_a_reader_that_is_slow_misses_the_oldest():
    source = Told()
    with Live(source, most=10) as live:
        for index in range(30):
            source.to.message("sent", "text", f'{{"name":"{index}"}}')
        items = await taken(live, 11)
    assert [item["name"] for item in items[1:]] == [str(index) for index in range(20, 30)]
    assert live.missed == 20


async def test_it_ends_with_its_block():
    source = Told()
    live = Live(source)
    with live:
        pass
    assert [item["kind"] for item in await taken(live, 9)] == ["snapshot"]
