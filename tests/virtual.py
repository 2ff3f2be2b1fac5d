"""An event loop whose time jumps to the next timer, and a platform that keeps what it is told."""

import asyncio
import functools
import selectors

from avatarwire.audio import PcmFormat
from avatarwire.streaming import NO_CALLBACKS, AudioStream, Timing

MONO_24K = PcmFormat(24000, 1)
FRAME_BYTES = 1920  # 40 ms
GRACE_S = 5.0


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: it moves the clock instead."""

    def __init__(self):
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout:
            self.now_s += timeout
        assert ready or timeout is not None, "everything waits, and nothing will happen"
        return ready


class _PatientSelector(_JumpingSelector):
    """Gives sockets and threads a moment before it moves the clock."""

    def select(self, timeout=None):
        ready = selectors.SelectSelector.select(self, timeout and min(timeout, 0.001))
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on virtual time; what takes no virtual time takes none."""

    def __init__(self, selector=_JumpingSelector):
        self._jumping = selector()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now_s

    def stall(self, seconds):
        """Pass time as a callback does that blocks the loop."""
        self._jumping.now_s += seconds


class PatientLoop(VirtualLoop):
    """Does the same with sockets, whose other end is in this process, and with threads."""

    def __init__(self):
        super().__init__(_PatientSelector)


def virtual(test):
    """Run an async test on virtual time."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class FakeSpeaker:
    """Notes (seconds since the start, what, PCM) and can refuse room, or all.

    All that is said arrives at once, unless ``left_bytes`` says otherwise.
    """

    least_round_trip_s = None

    def __init__(self):
        self.wire_bytes = self.left_bytes = 0
        self.log = []
        self.room = asyncio.Event()
        self.room.set()
        self.is_lost = False
        self.can_pause = True
        self._begun = None
        self._finished = False

    async def ready(self):
        pass

    def start(self):
        self._begun = asyncio.get_running_loop().time()
        return self._note("start")

    def restart(self):
        self._finished = False
        return self._note("restart")

    def pause(self):
        if not self.can_pause:
            return False
        self._note("pause")
        return True

    def say(self, pcm):
        return self._note("say", bytes(pcm))

    def finish(self):
        has_room = self._note("finish")
        self._finished = True
        return has_room

    def abandon(self):
        return True if self._finished else self.finish()

    def interrupt(self, scope):
        if scope == "ELSEWHERE":
            raise ValueError("ELSEWHERE leaves the turn alone")
        self._note(f"interrupt {scope}" if scope else "interrupt")
        return self.abandon()

    def unacknowledged_bytes(self):
        return self.left_bytes

    def has_room(self):
        return self.room.is_set()

    async def writable(self):
        await self.room.wait()
        if self.is_lost:
            raise ConnectionError("lost")

    def _note(self, what, pcm=b""):
        if self.is_lost:
            raise ConnectionError("lost")
        self.log.append((asyncio.get_running_loop().time() - self._begun, what, pcm))
        self.wire_bytes += len(pcm)
        return self.room.is_set()

    @property
    def words(self):
        return [what for _, what, _ in self.log]

    @property
    def pcm(self):
        return b"".join(pcm for _, _, pcm in self.log)

    @property
    def says(self):
        """Give (milliseconds since the first sound, milliseconds of sound) of each write."""
        said = [(at, len(pcm)) for at, what, pcm in self.log if what == "say"]
        return [(round((at - said[0][0]) * 1000, 3), MONO_24K.ms(size)) for at, size in said]


def new_stream(
    speaker,
    *,
    written=MONO_24K,
    sent=MONO_24K,
    converter=None,
    grace_s=GRACE_S,
    keep_ms=None,
    start_grace_s=None,
    callbacks=NO_CALLBACKS,
    **timing,
):
    return AudioStream(
        speaker,
        written=written,
        sent=sent,
        converter=converter,
        timing=Timing(**timing),
        request_id="request",
        response_id="response",
        grace_s=grace_s,
        keep_ms=keep_ms,
        start_grace_s=start_grace_s,
        callbacks=callbacks,
    )


def sound(ms):
    """Give so many milliseconds of PCM in which no two samples near each other are alike."""
    count = ms * 24
    return b"".join((n % 65521).to_bytes(2, "little") for n in range(count))
