"""What an adapter adds to the CPU of speaking sessions, beside the same framework's least output.

It runs in the environment of a framework, whose name it is given: ``make adapters`` does,
with ``--check``, which fails when the ratio is over its ceiling.

Both sides speak the same sound in the same frames, on the same sessions, through streams with the
same lead, queue and batches; the framework's part and the socket's are in both figures, user and
system time. What is waited for is not: while they speak, time jumps from timer to timer. A machine
that wakes up from idling charges the process for it, or does not, and that was more than an
adapter costs. The platform is a process of its own that reads and discards, so the clock decides
when a turn has been heard.
"""

import asyncio
import json
import selectors
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from operator import truediv
from statistics import median
from typing import TYPE_CHECKING, Any

from cpu import cpu_of
from drain import drain
from ratios import Ratio, floors, report

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

if TYPE_CHECKING:
    from avatarwire.streaming import AudioStream

SESSIONS = 3
SPEECH_S = 4
ROUNDS = 30
#: In which the platform reads what it has been sent.
CATCH_UP_S = 0.03
RATE = 24000
#: 20 ms, as a synthesiser gives them.
PIECE = bytes(range(240)) * 4
PIECES = SPEECH_S * 50

Talk = Callable[[AvatarAgent], Awaitable[None]]


class HastyLoop(asyncio.SelectorEventLoop):
    """An event loop that can jump to the next timer in place of waiting for it."""

    def __init__(self) -> None:
        self._is_hasty = False
        self._ahead_s = 0.0
        self._now_s = 0.0
        super().__init__(_HastySelector(self))

    def time(self) -> float:
        """Return the time, which stands still between the jumps of a hasty loop."""
        return self._now_s if self._is_hasty else super().time() + self._ahead_s

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Wait for nothing within."""
        self._now_s = self.time()
        self._is_hasty = True
        try:
            yield
        finally:
            self._is_hasty = False
            self._ahead_s += max(0.0, self._now_s - self.time())

    def jumps(self, timeout_s: float | None) -> bool:
        """Return whether a wait is to be skipped, and have time pass if so."""
        if not self._is_hasty or not timeout_s:
            return False
        self._now_s += timeout_s
        return True


class _HastySelector(selectors.DefaultSelector):
    def __init__(self, loop: HastyLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(0) or ([] if self._loop.jumps(timeout) else super().select(timeout))


def livekit_talks() -> dict[str, Talk]:
    """Return the ways to speak a segment of LiveKit's."""
    from livekit import rtc  # noqa: PLC0415 - one of two
    from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities  # noqa: PLC0415

    from avatarwire.livekit import AvatarAudioOutput  # noqa: PLC0415

    class Least(AudioOutput):
        """Writes to a stream, and reports its end."""

        def __init__(self, agent: AvatarAgent) -> None:
            super().__init__(label="least", capabilities=AudioOutputCapabilities(pause=False))
            self.agent = agent
            self.stream: AudioStream | None = None

        async def capture_frame(self, frame: rtc.AudioFrame) -> None:
            await super().capture_frame(frame)
            if self.stream is None:
                self.stream = self.agent.audio_stream(sample_rate=RATE, lead_ms=400, buffer_ms=2000)
                await self.stream.__aenter__()
                self.on_playback_started(created_at=0)
            await self.stream.write(frame.data)

        def flush(self) -> None:
            super().flush()
            stream, self.stream = self.stream, None
            stream.finish_nowait()
            self.ending = asyncio.create_task(self.end(stream))

        async def end(self, stream: "AudioStream") -> None:
            playout = await stream.wait_playout()
            self.on_playback_finished(playback_position=playout.played_ms / 1000, interrupted=False)

        def clear_buffer(self) -> None:
            self.stream.interrupt_nowait()

    def talk(make: Callable[[AvatarAgent], AudioOutput]) -> Talk:
        output_of = cache(make)  # one a session

        async def speak(agent: AvatarAgent) -> None:
            output = output_of(agent)
            for _ in range(PIECES):
                await output.capture_frame(rtc.AudioFrame(PIECE, RATE, 1, len(PIECE) // 2))
            output.flush()
            await output.wait_for_playout()

        return speak

    return {"ours": talk(AvatarAudioOutput), "theirs": talk(Least)}


def pipecat_talks() -> dict[str, Talk]:
    """Return the ways to speak a turn of Pipecat's."""
    from loguru import logger  # noqa: PLC0415 - one of two
    from pipecat.frames.frames import (  # noqa: PLC0415
        EndFrame,
        TTSAudioRawFrame,
        TTSStartedFrame,
        TTSStoppedFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline  # noqa: PLC0415
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker  # noqa: PLC0415
    from pipecat.transports.base_output import BaseOutputTransport  # noqa: PLC0415
    from pipecat.transports.base_transport import TransportParams  # noqa: PLC0415
    from pipecat.workers.runner import WorkerRunner  # noqa: PLC0415

    from avatarwire.pipecat import AvatarTransport  # noqa: PLC0415

    logger.remove()

    class Least(BaseOutputTransport):
        """Writes to a stream."""

        def __init__(self, agent: AvatarAgent) -> None:
            super().__init__(TransportParams(audio_out_enabled=True, audio_out_end_silence_secs=0))
            self.agent = agent
            self.stream: AudioStream | None = None

        async def start(self, frame: Any) -> None:  # noqa: ANN401
            await super().start(frame)
            await self.set_transport_ready(frame)

        async def stop(self, frame: Any) -> None:  # noqa: ANN401
            await super().stop(frame)
            await self.stream.finish()
            await self.stream.wait_playout()

        async def write_audio_frame(self, frame: Any) -> bool:  # noqa: ANN401
            if self.stream is None:
                self.stream = self.agent.audio_stream(
                    sample_rate=RATE, lead_ms=400, buffer_ms=80, batch_ms=40
                )
                await self.stream.__aenter__()
            return await self.stream.write(frame.audio)

    def talk(make: Callable[[AvatarAgent], BaseOutputTransport]) -> Talk:
        async def speak(agent: AvatarAgent) -> None:
            worker = PipelineWorker(
                Pipeline([make(agent)]),
                cancel_on_idle_timeout=False,
                enable_rtvi=False,
                params=PipelineParams(audio_out_sample_rate=RATE),
            )
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(worker)
            await worker.queue_frame(TTSStartedFrame())
            for _ in range(PIECES):
                await worker.queue_frame(TTSAudioRawFrame(PIECE, RATE, 1))
            await worker.queue_frame(TTSStoppedFrame())
            await worker.queue_frame(EndFrame())
            await runner.run()

        return speak

    return {"ours": talk(lambda agent: AvatarTransport(agent).output()), "theirs": talk(Least)}


class Shown(AvatarAgent):
    """An agent whose avatar is shown at once: no browser comes to this platform."""

    async def scene_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Return at once."""


@asynccontextmanager
async def running(base_url: str) -> AsyncIterator[list[AvatarAgent]]:
    """Give sessions that run."""
    config = AvatarAgentConfig(
        "key", "avatar", base_url=base_url, ping_interval=3600, ping_timeout=3600
    )
    agents: list[AvatarAgent] = [Shown(config, AgentListener()) for _ in range(SESSIONS)]
    await asyncio.gather(*(agent.start() for agent in agents))
    try:
        yield agents
    finally:
        await asyncio.gather(*(agent.stop() for agent in agents))


async def speak(talk: Talk, agents: list[AvatarAgent]) -> None:
    """Have all sessions speak at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HastyLoop)
    with loop.hasty():
        await asyncio.gather(*map(talk, agents))
    await asyncio.sleep(CATCH_UP_S)


async def costs_of(talks: dict[str, Talk]) -> dict[str, float]:
    """Return the CPU seconds of a session for a second of speech.

    That by hand is the median. Ours is as many times that as in the median of the rounds: both ways
    of one round run close together, and a machine's speed changes in between less than in all.
    """
    ours_s, theirs_s = [], []
    with drain() as base_url:
        async with running(base_url) as agents:
            for _ in range(ROUNDS):
                ours_s.append(await cpu_of(partial(speak, talks["ours"], agents)))
                theirs_s.append(await cpu_of(partial(speak, talks["theirs"], agents)))
    theirs = median(theirs_s) / (SESSIONS * SPEECH_S)
    return {"ours": theirs * median(map(truediv, ours_s, theirs_s)), "theirs": theirs}


def costs_in(framework: str) -> dict[str, float]:
    """Measure one framework's adapter, and an output by hand."""
    talks = {"livekit": livekit_talks, "pipecat": pipecat_talks}[framework]()
    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        return runner.run(costs_of(talks))


def measure(framework: str) -> list[Ratio]:
    """Compare one framework's adapter with an output by hand."""
    costs = costs_in(framework)
    name = f"CPU of a session for a second of speech, {framework}"
    most = floors("adapters")["most"]
    return [Ratio(name, costs["ours"], costs["theirs"], most, at_most=True)]


if __name__ == "__main__":
    (framework,) = (each for each in sys.argv[1:] if not each.startswith("-"))
    if "--json" in sys.argv:  # for the group of sessions, in another environment
        print(json.dumps(costs_in(framework)))
        sys.exit()
    sys.exit(report(lambda: measure(framework), theirs="by hand"))
