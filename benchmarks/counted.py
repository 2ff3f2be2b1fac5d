"""The work whose instructions ``guard_instructions.py`` counts: a name, and how often to do it.

It imports nothing but what that work needs: what else lies in memory decides what allocating costs.
So the calls of the comparison's workloads are spelled out here, under their names.
"""

import gc
import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from avatarwire.codec import AudioFrame, PcmFramer

if TYPE_CHECKING:
    from avatarwire.streaming import AudioStream

SECOND = bytes(range(250)) * 192
FRAMER = PcmFramer(sample_rate=24000)
FRAME = AudioFrame(sample_rate=1, samples=960, payload=SECOND[:1920])
MESSAGE = FRAME.pack()


class Listener:
    """A platform that takes everything."""

    async def ready(self) -> None:
        """Return at once: this platform is always ready."""

    def start(self) -> bool:
        """Return at once: this platform always has room."""
        return True

    restart = finish = abandon = start

    def say(self, pcm: bytes | memoryview) -> bool:
        """Frame the sound as it would be sent."""
        return bool(FRAMER.websocket(pcm))

    def interrupt(self, scope: str | None) -> bool:
        """Stop all of it."""
        return scope is None

    wire_bytes = 0
    least_round_trip_s = None

    def unacknowledged_bytes(self) -> int:
        """Have all of it arrive."""
        return 0

    def has_room(self) -> bool:
        """Have it always."""
        return True

    async def writable(self) -> None:
        """Return at once: this platform always has room."""


def paced_write() -> Callable[[], object]:
    """Return what a stream does for each 200 ms of its sound, the socket left out."""
    import asyncio  # noqa: PLC0415 - the codec's work does without

    from avatarwire.audio import PcmFormat  # noqa: PLC0415
    from avatarwire.streaming import AudioStream, Timing  # noqa: PLC0415

    class StillLoop(asyncio.SelectorEventLoop):
        """Stops the clock: what is sent before the counted work would differ from run to run."""

        def time(self) -> float:
            return 1000.0

    async def begin() -> "AudioStream":
        stream = AudioStream(
            Listener(),
            written=PcmFormat(24000),
            sent=PcmFormat(24000),
            timing=Timing(buffer_ms=3_600_000),
            request_id="request",
            response_id="response",
        )
        await stream.__aenter__()
        for _ in range(1200):
            await stream.write(SECOND)
        return stream

    with asyncio.Runner(loop_factory=StillLoop) as runner:
        stream = runner.run(begin())
    times_s = itertools.count(stream.ends_at_s, 0.2)
    return lambda: stream.tick(next(times_s))


WORK: dict[str, Callable[[], Callable[[], object]]] = {
    "frame_repack": lambda: FRAME.pack,
    "header_unpack": lambda: lambda: AudioFrame.unpack(MESSAGE),
    "pcm_websocket": lambda: lambda: FRAMER.websocket(SECOND),
    "paced_write": paced_write,
}

if __name__ == "__main__":
    # A collection takes millions of instructions and falls now on one side, now on the other.
    gc.disable()
    call = WORK[sys.argv[1]]()
    for _ in range(int(sys.argv[2])):
        call()
