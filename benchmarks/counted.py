"""The work whose instructions ``instructions.py`` counts: a name, and how often to do it.

It imports nothing but the codec, so that starting up is short under callgrind.
"""

import sys
from collections.abc import Callable

from avatarwire.codec import AudioFrame, PcmFramer

SECOND = bytes(range(250)) * 192
FRAMER = PcmFramer(sample_rate=24000)
FRAME = AudioFrame(sample_rate=1, samples=960, payload=SECOND[:1920])
MESSAGE = FRAME.pack()

WORK: dict[str, Callable[[], object]] = {
    "pack": FRAME.pack,
    "unpack": lambda: AudioFrame.unpack(MESSAGE),
    "websocket": lambda: FRAMER.websocket(SECOND),
}

if __name__ == "__main__":
    call = WORK[sys.argv[1]]
    for _ in range(int(sys.argv[2])):
        call()
