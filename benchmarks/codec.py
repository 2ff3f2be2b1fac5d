"""The codec beside the published SDK 0.2.2, in one process.

Run ``make .seeds/liveavatar-0.2.2`` once, then this file; ``--check`` fails when a ratio is
under its floor.
"""

import platform
import random
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ratios import Ratio, best_times, floors, report
from websockets.frames import Frame, Opcode

from avatarwire.codec import AudioFrame, AudioFrameBuilder, ImageFrame, PcmFramer

SEED = Path(__file__).parent.parent / ".seeds" / "liveavatar-0.2.2"
sys.path.insert(0, str(SEED))
try:
    import liveavatar_channel_sdk as seed
except ImportError:
    sys.exit("The published SDK is missing: make .seeds/liveavatar-0.2.2")

SECOND = random.Random(1).randbytes(48_000)  # noqa: S311
PLACES = 4
CHUNK = SECOND[:1920]


def construct_pack_ours() -> bytes:
    """Take a frame from keywords to its message, ours."""
    return AudioFrame(
        channel=0, key=1, seq=7, timestamp=280, sample_rate=1, samples=960, codec=0, payload=CHUNK
    ).pack()


def construct_pack_seed() -> bytes:
    """Take a frame from keywords to its message, theirs."""
    return seed.AudioFrame(
        channel=0, key=1, seq=7, timestamp=280, sample_rate=1, samples=960, codec=0, payload=CHUNK
    ).pack()


def builder_ours() -> bytes:
    """Take a frame step by step to its message, ours."""
    return (
        AudioFrameBuilder().mono().keyframe().seq(7).timestamp(280).sample_rate_24k().samples(960)
        .pcm().payload(CHUNK).build()
    )  # fmt: skip


def builder_seed() -> bytes:
    """Take a frame step by step to its message, theirs."""
    return (
        seed.AudioFrameBuilder().mono().keyframe().seq(7).timestamp(280).sample_rate_24k()
        .samples(960).pcm().payload(CHUNK).build()
    )  # fmt: skip


def frames_seed() -> list[bytes]:
    """Frame one second as the published SDK's users do: there is no framer in it."""
    messages = []
    for seq, start in enumerate(range(0, len(SECOND), 1920)):
        frame = seed.AudioFrame(
            channel=0, key=int(not seq), seq=seq, timestamp=seq * 40, sample_rate=1, samples=960,
            codec=0, payload=SECOND[start : start + 1920],
        )  # fmt: skip
        messages.append(frame.pack())
    return messages


def websocket_seed() -> list[bytes]:
    """Frame and mask the messages of that second by the websockets library."""
    return [Frame(Opcode.BINARY, message).serialize(mask=True) for message in frames_seed()]


def measure() -> list[Ratio]:
    """Time everything and pair it."""
    framer = PcmFramer(sample_rate=24000)
    # Where a buffer lies decides up to a tenth of a copy's time: both sides get several.
    outs = [bytearray(len(SECOND) + 25 * 9) for _ in range(PLACES)]
    copies = [bytearray(len(SECOND)) for _ in range(PLACES)]
    message = construct_pack_ours()
    packed = AudioFrame.unpack(message), seed.AudioFrame.unpack(message)
    image = ImageFrame(1, 85, 7, 640, 480, CHUNK).pack()

    def copy_to(place: bytearray) -> Callable[[], object]:
        def copy() -> None:
            memoryview(place)[:] = SECOND

        return copy

    def pack_into(place: bytearray) -> Callable[[], object]:
        return lambda: framer.pack_into(SECOND, place)

    def unpack_with(kind: type, data: bytes) -> Callable[[], object]:
        return lambda: kind.unpack(data)

    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "construct_pack": (construct_pack_ours, construct_pack_seed),
        "pack": (packed[0].pack, packed[1].pack),
        "unpack": (unpack_with(AudioFrame, message), unpack_with(seed.AudioFrame, message)),
        "builder": (builder_ours, builder_seed),
        "image_unpack": (unpack_with(ImageFrame, image), unpack_with(seed.ImageFrame, image)),
        "frames": (lambda: framer.frames(SECOND), frames_seed),
        "pack_into": (pack_into(outs[0]), frames_seed),
        "websocket": (lambda: framer.websocket(SECOND), websocket_seed),
    }
    titles = {
        "construct_pack": "construct and pack, keywords",
        "pack": "pack",
        "unpack": "unpack",
        "builder": "builder",
        "image_unpack": "image unpack",
        "frames": "1 s of PCM to a list of frames",
        "pack_into": "1 s of PCM into a buffer",
        "websocket": "1 s of PCM to masked WebSocket bytes",
    }
    limits = floors("codec")
    ratios = []
    for name, (ours, theirs) in pairs.items():
        times = best_times({"ours": ours, "theirs": theirs})
        ratios.append(Ratio(titles[name], times["ours"], times["theirs"], limits[name]))
    ours_at = {f"ours {at}": pack_into(place) for at, place in enumerate(outs)}
    copy_at = {f"copy {at}": copy_to(place) for at, place in enumerate(copies)}
    times = best_times({**ours_at, **copy_at})
    ratios.append(
        Ratio(
            "1 s of PCM into a buffer, to one copy of as many bytes",
            min(times[name] for name in ours_at),
            min(times[name] for name in copy_at),
            limits["pack_into_copy"],
            at_most=True,
        )
    )
    return ratios


if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"liveavatar-channel-sdk 0.2.2, websockets {version('websockets')}\n"
    )
    sys.exit(report(measure, theirs="seed"))
