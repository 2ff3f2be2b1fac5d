"""Mutated messages against the codec: a frame or a ValueError, nothing else.

A plain mutator, the same for a seed. Coverage would not guide it further: what the codec does
depends on a few header fields, which it hits within a thousand messages. What it looks for:

- an exception other than ValueError, or a crash;
- a frame that does not come back the same from its own message;
- sound that a framer loses, adds or changes, whatever the chunks;
- a frame that a jitter buffer gives out twice, or drops without counting it;
- a level outside of full scale;
- a message that stays referenced, or a buffer that stays exported, after the call;
- memory blocks that add up.
"""

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from avatarwire.codec import (
    AudioFrame,
    ExternalAudioFrame,
    Gap,
    ImageFrame,
    JitterBuffer,
    PcmFramer,
    frame_type,
    level,
)

CORPUS = Path(__file__).with_name("corpus")
INTERESTING = (b"\x00", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\xff\xff\xff\xff", b"EXAU\x01")
# Caches of the interpreter grow for a while, and by a few blocks ever after; a block that leaks
# with one message in a thousand is far more.
WARM_UP = 20_000
SPARE_BLOCKS = 200


Message = bytes | bytearray | memoryview
AnyFrame = AudioFrame | ImageFrame | ExternalAudioFrame
T = TypeVar("T")

FRAMES: tuple[type[AnyFrame], ...] = (AudioFrame, ImageFrame, ExternalAudioFrame)
FRAMERS = tuple(
    PcmFramer(sample_rate=rate, channels=channels, frame_ms=1)
    for rate in (16000, 24000, 48000)
    for channels in (1, 2)
)


def mutate(message: bytes, others: list[bytes], rng: random.Random) -> bytearray:
    """Return the message with one to four changes."""
    data = bytearray(message)
    for _ in range(rng.randrange(1, 5)):
        # Headers decide, and they come first: half of the changes go there.
        at = rng.randrange(min(len(data), 26) + 1 if rng.random() < 0.5 else len(data) + 1)
        match rng.randrange(7):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
            case 2:
                chunk = rng.choice(INTERESTING)
                data[at : at + len(chunk)] = chunk
            case 3:
                del data[at:]
            case 4:
                del data[at : at + rng.randrange(1, 9)]
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                data[at:] = rng.choice(others)[at:]
    return data


def attempt(call: Callable[[Message], T], message: Message) -> T | None:
    """Return what the call returns, or None when it refuses the message."""
    try:
        return call(message)
    except ValueError:
        return None


def check_frame(kind: type[AnyFrame], message: Message) -> bool:
    """Unpack the message and check that it packs to the same; return whether it was a frame."""
    frame = attempt(kind.unpack, message)
    if frame is None:
        return False
    assert type(frame) is kind
    assert frame.payload_view == frame.payload
    assert kind.unpack(frame.pack()) == frame
    return True


def check_framer(framer: PcmFramer, pcm: memoryview, rng: random.Random) -> None:
    """Feed the sound in random chunks; what comes out must be what went in."""
    framer.reset()
    out = bytearray()
    target = bytearray(len(pcm) * 2 + 512)
    sent = 0
    position = 0
    while position < len(pcm):
        chunk = pcm[position : position + rng.randrange(1, 64)]
        position += len(chunk)
        match rng.randrange(3):
            case 0:
                messages = framer.frames(chunk)
            case 1:
                size = 9 + framer.frame_bytes
                written = framer.pack_into(chunk, target)
                messages = [bytes(target[i : i + size]) for i in range(0, written, size)]
            case _:
                messages = unmask(framer.websocket(chunk))
        for message in messages:
            out += AudioFrame.unpack(message).payload
            sent += 1
    dropped = framer.pending_bytes % (2 * framer.channels)
    for message in framer.flush():
        out += AudioFrame.unpack(message).payload
    assert out == pcm[: len(pcm) - dropped]
    target.append(0)


def check_jitter(data: bytes) -> None:
    """Read the message as the places of frames; each must leave once or be counted."""
    frames = [
        AudioFrame(
            key=data[i] >> 7, codec=data[i] >> 6 & 1, seq=data[i], samples=data[i + 1],
            timestamp=int.from_bytes(data[i + 1 : i + 4]) >> data[i] % 16, payload=data[i : i + 4],
        )
        for i in range(0, len(data) - 3, 4)
    ]  # fmt: skip
    buffer = JitterBuffer()
    out = [item for frame in frames for item in buffer.push(frame)]
    assert len(out) + buffer.held - buffer.gaps == len(frames) - buffer.duplicates - buffer.late
    out += buffer.flush()
    released = [id(item) for item in out if isinstance(item, AudioFrame)]
    assert len(set(released)) == len(released) == buffer.released
    assert buffer.released + buffer.duplicates + buffer.late == buffer.pushed == len(frames)
    assert sum(item.frames for item in out if isinstance(item, Gap)) == buffer.lost


def check_level(data: Message) -> None:
    """Measure the message as sound."""
    measured = attempt(level, data)
    if measured is None:
        assert len(data) % 2
    else:
        assert 0 <= measured[0] <= measured[1] <= 1


def unmask(wire: bytes) -> list[bytes]:
    """Read masked messages of up to 65,535 bytes."""
    messages = []
    while wire:
        start, size = 2, wire[1] & 127
        if size == 126:
            start, size = 4, int.from_bytes(wire[2:4])
        key, end = wire[start : start + 4], start + 4 + size
        pad = (key * (size // 4 + 1))[:size]
        masked = int.from_bytes(wire[start + 4 : end])
        messages.append((masked ^ int.from_bytes(pad)).to_bytes(size))
        wire = wire[end:]
    return messages


def check(data: bytearray, rng: random.Random) -> bool:
    """Check everything that reads messages with one message; return whether it was a frame."""
    message = bytes(data)
    view = memoryview(data)
    references = sys.getrefcount(message), sys.getrefcount(data)
    is_frame = False
    for kind in FRAMES:
        found = check_frame(kind, message)
        # Bytes are kept and other buffers copied: two paths, one answer.
        assert check_frame(kind, data) == check_frame(kind, view) == found
        is_frame |= found
        if len(data) > 1:
            assert attempt(kind.unpack, view[::2]) is None
    kind_told = attempt(frame_type, message)
    assert kind_told == attempt(frame_type, data)
    assert kind_told is not None or not is_frame
    check_framer(rng.choice(FRAMERS), view, rng)
    check_jitter(message)
    check_level(view)
    assert sys.getrefcount(data) == references[1]
    if len(message) > 1:
        # Python keeps one object for all shorter bytes.
        assert sys.getrefcount(message) == references[0]
    view.release()
    # Raises BufferError while anybody still exports it.
    data.append(0)
    return is_frame


def main() -> None:
    """Mutate and check; the last message is shown when something is found."""
    parser = argparse.ArgumentParser(description="Fuzz the codec's readers.")
    parser.add_argument("--count", type=int, default=1_000_000, help="mutated messages")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    corpus = [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]
    if not corpus:
        sys.exit(f"There is no corpus in {CORPUS}: run corpus.py beside this file.")
    start = time.monotonic()
    frames = number = blocks = 0
    shown = ""
    try:
        for number in range(options.count):
            if number == WARM_UP:
                gc.collect()
                blocks = sys.getallocatedblocks()
            data = mutate(rng.choice(corpus), corpus, rng)
            shown = data.hex()
            frames += check(data, rng)
    except BaseException:
        print(f"message {number} of seed {options.seed}: {shown}", file=sys.stderr)
        raise
    gc.collect()
    more = sys.getallocatedblocks() - blocks if options.count > WARM_UP else 0
    print(
        f"{options.count} mutated messages in {time.monotonic() - start:.1f} s: "
        f"{frames} were frames, the others refused; {more} memory blocks more than at the start"
    )
    if more > SPARE_BLOCKS:
        sys.exit("Memory adds up.")


if __name__ == "__main__":
    main()
