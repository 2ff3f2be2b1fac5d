"""A Pipecat bot with an avatar: it answers what the user types, aloud, and can be interrupted.

    pip install "avatarwire[pipecat]"
    python pipecat_bot.py

It needs no account and no room: the model is a script, and espeak-ng is the voice. For a real one,
set ``OPENAI_API_KEY`` and ``OPENAI_MODEL``.
"""

import asyncio
import os
from asyncio.subprocess import PIPE
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.pipecat import AvatarTransport

WAV_HEADER_BYTES = 44


class Script(FrameProcessor):
    """Answers without thinking."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer the last message of the context."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            message: Any = frame.context.messages[-1]
            print(f"user: {message['content']}", flush=True)
            await self.push_frame(LLMFullResponseStartFrame())
            words = f"You said: {message['content']} That is all I know."
            await self.push_frame(LLMTextFrame(words))
            frame = LLMFullResponseEndFrame()
        await self.push_frame(frame, direction)


class Espeak(FrameProcessor):
    """Speaks a whole answer with the voice of espeak-ng."""

    text = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Gather an answer, and speak it."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self.text += frame.text
            return
        if isinstance(frame, LLMFullResponseEndFrame):
            text, self.text = self.text, ""
            await self._speak(text)
        await self.push_frame(frame, direction)

    async def _speak(self, text: str) -> None:
        process = await asyncio.create_subprocess_exec("espeak-ng", "--stdout", text, stdout=PIPE)
        assert process.stdout is not None
        await process.stdout.readexactly(WAV_HEADER_BYTES)
        await self.push_frame(TTSStartedFrame())
        while pcm := await process.stdout.read(4096):
            await self.push_frame(TTSAudioRawFrame(pcm, 22050, 1))
        await process.wait()
        await self.push_frame(TTSTextFrame(text, "sentence"))
        await self.push_frame(TTSStoppedFrame())


def model() -> FrameProcessor:
    """Return a real model if the environment names one."""
    if "OPENAI_API_KEY" not in os.environ:
        return Script()
    from pipecat.services.openai.llm import OpenAILLMService  # noqa: PLC0415

    return OpenAILLMService(settings=OpenAILLMService.Settings(model=os.environ["OPENAI_MODEL"]))


async def main() -> None:
    """Serve one session until the platform ends it."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        developer_tts=True,
    )
    transport = AvatarTransport(AvatarAgent(config, AgentListener()))
    user, assistant = LLMContextAggregatorPair(LLMContext())
    stages = [transport.input(), user, model(), Espeak(), transport.output(), assistant]
    worker = PipelineWorker(Pipeline(stages), cancel_on_idle_timeout=False)

    @assistant.event_handler("on_assistant_turn_stopped")
    async def show(_: Any, message: Any) -> None:  # noqa: ANN401
        cut = " (interrupted)" if message.interrupted else ""
        print(f"assistant: {message.content}{cut}", flush=True)

    @transport.event_handler("on_disconnected")
    async def end(_: Any) -> None:  # noqa: ANN401
        await worker.stop_when_done()

    runner = WorkerRunner()  # Ctrl-C ends it
    await runner.add_workers(worker)
    await runner.run()


asyncio.run(main())
