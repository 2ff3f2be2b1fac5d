"""A pipeline on an emulated platform, and what came out of it."""

import asyncio
import time

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

RATE = 24000


def sound(ms, rate=RATE, channels=1, begin=0):
    """Return PCM in which no two samples near each other are alike."""
    count = ms * rate // 1000 * channels
    return b"".join(((begin + 7001 * n) % 65521).to_bytes(2, "little") for n in range(count))


def pieces(pcm, rate=RATE, channels=1, piece_ms=20, kind=TTSAudioRawFrame):
    """Cut PCM into frames as a synthesiser gives them."""
    size = rate * piece_ms // 1000 * channels * 2
    return [kind(pcm[start : start + size], rate, channels) for start in range(0, len(pcm), size)]


def turn(pcm, **format_):
    """Return the frames of a whole turn of speech."""
    return [TTSStartedFrame(), *pieces(pcm, **format_), TTSStoppedFrame()]


class Behind(FrameProcessor):
    """Keeps what reaches the end of the pipeline, and when."""

    def __init__(self):
        super().__init__()
        self.frames = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)


class Line:
    """A pipeline that runs: an output, and what is behind it.

    Attributes:
        output: what is tested.
        agent: the avatar's session.
        emulator: the platform.
    """

    def __init__(self, output, agent, emulator, before=(), rate=RATE):
        self.output = output
        self.agent = agent
        self.emulator = emulator
        self.behind = Behind()
        self.errors = []
        self.worker = PipelineWorker(
            Pipeline([*before, output, self.behind]),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
            params=PipelineParams(audio_out_sample_rate=rate, enable_metrics=True),
        )
        self.is_started = asyncio.Event()
        self.needs_session = True
        self.strays = []  # errors that nobody waited for
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.strays.append(context)
        )

        @self.worker.event_handler("on_pipeline_started")
        async def _started(worker, frame):
            self.is_started.set()

        @self.worker.event_handler("on_pipeline_error")
        async def _error(worker, frame):
            self.errors.append(frame)

    async def __aenter__(self):
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self.running = asyncio.create_task(runner.run())
        async with asyncio.timeout(5):
            await self.is_started.wait()
            while self.needs_session and not self.agent.is_running:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *exc):
        if not self.running.done():
            await self.worker.cancel()
            await asyncio.wait([self.running], timeout=3)
            self.running.cancel()
            await asyncio.wait([self.running], timeout=3)

    async def put(self, *frames):
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def end(self, timeout_s=10.0):
        """End the pipeline in order; return how long that took."""
        begun_s = time.monotonic()
        await self.put(EndFrame())
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(self.running)
        return time.monotonic() - begun_s

    @property
    def session(self):
        return self.emulator.sessions[-1]

    def times(self, kind):
        return [at_s for at_s, frame in self.behind.frames if isinstance(frame, kind)]

    @property
    def started(self):
        return self.times(BotStartedSpeakingFrame)

    @property
    def stopped(self):
        return self.times(BotStoppedSpeakingFrame)

    @property
    def recorded(self):
        """Return the PCM that a recorder behind the output has."""
        frames = [frame for _, frame in self.behind.frames]
        return b"".join(f.audio for f in frames if isinstance(f, OutputAudioRawFrame))

    @property
    def heard(self):
        """Return the PCM that came in from the user."""
        frames = [frame for _, frame in self.behind.frames]
        return b"".join(f.audio for f in frames if isinstance(f, InputAudioRawFrame))

    async def until(self, condition, timeout_s=5.0):
        """Wait until something that a frame or the platform brings about."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.005)
