"""A LiveKit agent with an avatar: it answers what the user types, aloud, and can be interrupted.

    pip install "avatarwire[livekit]"
    python livekit_agent.py

It needs no account and no room: the model is a script, and espeak-ng is the voice. For a real one,
``pip install livekit-plugins-openai`` and set ``OPENAI_API_KEY`` and ``OPENAI_MODEL``.
"""

import asyncio
import contextlib
import os
import subprocess
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, AgentSession, llm, tts

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.livekit import attach

WAV_HEADER_BYTES = 44


class Script(llm.LLM[Any]):
    """Answers without thinking."""

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> "Line":  # noqa: ANN401
        """Return the answer to the last message."""
        conn_options = options.get("conn_options", DEFAULT_API_CONNECT_OPTIONS)
        return Line(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Line(llm.LLMStream):
    """One answer, a word at a time."""

    async def _run(self) -> None:
        asked = [item.text_content for item in self._chat_ctx.items if item.type == "message"][-1]
        for word in f"You said: {asked} That is all I know.".split():
            delta = llm.ChoiceDelta(role="assistant", content=f"{word} ")
            self._event_ch.send_nowait(llm.ChatChunk(id="line", delta=delta))


class Espeak(tts.TTS[Any]):
    """The voice of espeak-ng."""

    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=22050, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> "Speech":  # noqa: ANN401
        """Speak a text."""
        return Speech(tts=self, input_text=text, conn_options=conn_options)


class Speech(tts.ChunkedStream):
    """A text, as it is spoken."""

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="speech", sample_rate=22050, num_channels=1, mime_type="audio/pcm"
        )
        process = await asyncio.create_subprocess_exec(
            "espeak-ng", "--stdout", self.input_text, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readexactly(WAV_HEADER_BYTES)
        while pcm := await process.stdout.read(4096):
            output_emitter.push(pcm)
        output_emitter.flush()
        await process.wait()


def model() -> llm.LLM[Any]:
    """Return a real model if the environment names one."""
    if "OPENAI_API_KEY" not in os.environ:
        return Script()
    from livekit.plugins import openai  # type: ignore[import-untyped]  # noqa: PLC0415

    real: llm.LLM[Any] = openai.LLM(model=os.environ["OPENAI_MODEL"])
    return real


async def main() -> None:
    """Serve one session until the platform ends it."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        developer_tts=True,
    )
    async with AvatarAgent(config, AgentListener()) as avatar:
        session: AgentSession[None] = AgentSession(llm=model(), tts=Espeak())
        attach(session, avatar)

        @session.on("conversation_item_added")
        def show(event: Any) -> None:  # noqa: ANN401
            item = event.item
            if item.type == "message":
                cut = " (interrupted)" if item.interrupted else ""
                print(f"{item.role}: {item.text_content.strip()}{cut}", flush=True)
                if latency_s := item.metrics.get("playback_latency"):
                    print(f"heard after {latency_s * 1000:.0f} ms", flush=True)

        await session.start(Agent(instructions="You are an avatar. Answer in a sentence."))
        await avatar.wait_closed()
        await session.aclose()


with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
    asyncio.run(main())
