"""What an adapter adds to the CPU of speaking sessions, beside the same framework's least output.

It runs in the environment of a framework, whose name it is given: ``make adapters`` does,
with ``--check``, which fails when the ratio is over its ceiling. The platform is the emulator, in a
process of its own.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from cpu import cpu_of
from ratios import Ratio, floors, report

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

if TYPE_CHECKING:
    from avatarwire.streaming import AudioStream

SESSIONS = 20
SPEECH_S = 8
RATE = 24000
ROUNDS = 3
#: 20 ms, as a synthesiser gives them.
PIECE = bytes(range(240)) * 4
PIECES = SPEECH_S * 50

Talk = Callable[[AvatarAgent], Awaitable[None]]


@contextmanager
def platform() -> Iterator[str]:
    """Give the address of an emulator in another process."""
    command = [sys.executable, __file__, "--platform"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        yield it.stdout.readline().strip()
        it.terminate()


async def serve() -> None:
    """Be the platform."""
    from avatarwire.emulator import LiveAvatarEmulator  # noqa: PLC0415 - in its process alone

    async with LiveAvatarEmulator(greeting=None) as emulator:
        print(emulator.base_url, flush=True)
        await asyncio.Event().wait()


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
            self.stream.finish_nowait()
            self.ending = asyncio.create_task(self.end())

        async def end(self) -> None:
            playout = await self.stream.wait_playout()
            self.on_playback_finished(playback_position=playout.played_ms / 1000, interrupted=False)

        def clear_buffer(self) -> None:
            self.stream.interrupt_nowait()

    def talk(make: Callable[[AvatarAgent], AudioOutput]) -> Talk:
        async def speak(agent: AvatarAgent) -> None:
            output = make(agent)
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


@asynccontextmanager
async def running(base_url: str) -> AsyncIterator[list[AvatarAgent]]:
    """Give sessions that run."""
    config = AvatarAgentConfig("key", "avatar", base_url=base_url)
    agents = [AvatarAgent(config, AgentListener()) for _ in range(SESSIONS)]
    await asyncio.gather(*(agent.start() for agent in agents))
    await asyncio.gather(*(agent.scene_ready(5) for agent in agents))
    try:
        yield agents
    finally:
        await asyncio.gather(*(agent.stop() for agent in agents))


async def costs_of(talks: dict[str, Talk]) -> dict[str, float]:
    """Return the least CPU seconds of a session for a second of speech; ways take turns."""
    best = dict.fromkeys(talks, float("inf"))
    with platform() as base_url:
        for _ in range(ROUNDS):
            for name, talk in talks.items():
                async with running(base_url) as agents:

                    async def speak(talk: Talk = talk, agents: list[AvatarAgent] = agents) -> None:
                        await asyncio.gather(*map(talk, agents))

                    cost_s = await cpu_of(speak) / (SESSIONS * SPEECH_S)
                    best[name] = min(best[name], cost_s)
    return best


def costs_in(framework: str) -> dict[str, float]:
    """Measure one framework's adapter, and an output by hand."""
    talks = {"livekit": livekit_talks, "pipecat": pipecat_talks}[framework]()
    return asyncio.run(costs_of(talks))


def measure(framework: str) -> list[Ratio]:
    """Compare one framework's adapter with an output by hand."""
    costs = costs_in(framework)
    name = f"CPU of a session for a second of speech, {framework}"
    most = floors("adapters")["most"]
    return [Ratio(name, costs["ours"], costs["theirs"], most, at_most=True)]


if __name__ == "__main__":
    if "--platform" in sys.argv:
        asyncio.run(serve())
    (framework,) = (each for each in sys.argv[1:] if not each.startswith("-"))
    if "--json" in sys.argv:  # for the group of sessions, in another environment
        print(json.dumps(costs_in(framework)))
        sys.exit()
    sys.exit(report(lambda: measure(framework), theirs="by hand"))
