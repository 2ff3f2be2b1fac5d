import os
import random
import subprocess
import sys
import threading

import pytest

from avatarwire.codec import PcmFramer, _masks, client_message


def key():
    return client_message(b"")[2:6]


def test_keys_come_in_order_from_blocks(masks):
    assert [key() for _ in range(2000)] == masks[:2000]


def test_a_block_is_drawn_once(monkeypatch):
    sizes = []
    urandom = os.urandom
    monkeypatch.setattr(os, "urandom", lambda size: sizes.append(size) or urandom(size))
    _masks.discard()
    keys = {key() for _ in range(1025)}
    assert sizes == [4096, 4096]
    assert len(keys) > 1020


def test_discard_throws_the_block_away(masks):
    assert key() == masks[0]
    _masks.discard()
    assert key() == masks[1024]


@pytest.mark.parametrize("seed", range(20))
def test_any_number_at_a_time_and_discards_between(masks, seed):
    draw = random.Random(seed)  # noqa: S311
    framer = PcmFramer(frame_ms=1)  # a message of 47 bytes a frame, its key behind two
    at = 0
    while at < 3000:
        if draw.random() < 0.1:
            _masks.discard()
            at += -at % 1024
        count = draw.choice([0, 1, 2, 63, 64, 65, 500])
        wire = framer.websocket(bytes(32 * count))
        assert [wire[i + 2 : i + 6] for i in range(0, len(wire), 47)] == masks[at : at + count]
        at += count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_throws_the_block_away():
    # In a process of its own, that no thread of other tests is forked along.
    code = """
import os
from avatarwire.codec import client_message
key = lambda: client_message(b"")[2:6]
key()
read, write = os.pipe()
if not (child := os.fork()):
    os.write(write, key() + key())
    os._exit(0)
mine = key() + key()
theirs = os.read(read, 8)
assert os.waitpid(child, 0)[1] == 0
assert len(theirs) == 8 and theirs != mine
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_threads_never_share_a_key(masks):
    keys = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda mine=mine: mine.extend(key() for _ in range(1000)))
        for mine in keys
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = [one for mine in keys for one in mine]
    assert len(set(drawn)) == len(drawn) == 4000
