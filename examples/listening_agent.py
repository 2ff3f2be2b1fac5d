"""Hear the user with your own recogniser; turns are found by the level of the sound.

To try it, give the local platform a voice: ``avatarwire serve liveavatar --user-audio speech.wav``.
"""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.audio import level

SAMPLE_RATE = 16000
PIECE_BYTES = SAMPLE_RATE * 2 * 20 // 1000  # 20 ms
LOUD = 0.02  # root mean square, 0 to 1: above it somebody speaks
BEGINS_AFTER_PIECES = 3  # a click is shorter
ENDS_AFTER_PIECES = 30  # a pause between words is shorter


def recognise(pcm: bytes) -> str:
    """Stand in for your recogniser."""
    return f"about {len(pcm) / (SAMPLE_RATE * 2):.1f} seconds of speech"


async def pieces(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Cut sound into pieces of 20 ms."""
    rest = b""
    async for pcm in source:
        rest += pcm
        while len(rest) >= PIECE_BYTES:
            yield rest[:PIECE_BYTES]
            rest = rest[PIECE_BYTES:]


class Ear:
    """Tells when the user's turn begins and ends."""

    def __init__(self, agent: AvatarAgent) -> None:
        self._agent = agent

    async def listen(self) -> None:
        """Follow the user until the session ends."""
        loud = quiet = 0
        recent: list[bytes] = []  # so that the first syllable is not cut off
        spoken: list[bytes] = []
        request_id = ""
        async for pcm in pieces(self._agent.user_audio(SAMPLE_RATE)):
            rms, _peak = level(pcm)
            loud, quiet = (loud + 1, 0) if rms > LOUD else (0, quiet + 1)
            if spoken:
                spoken.append(pcm)
                if quiet >= ENDS_AFTER_PIECES:
                    await self._finish(request_id, b"".join(spoken[:-quiet]))
                    spoken = []
                continue
            recent = [*recent[-10:], pcm]
            if loud >= BEGINS_AFTER_PIECES:
                spoken, recent = recent, []
                request_id = str(uuid.uuid4())
                # The platform stops what the avatar is saying.
                await self._agent.send_voice_start(request_id)

    async def _finish(self, request_id: str, pcm: bytes) -> None:
        text = recognise(pcm)
        await self._agent.send_voice_finish(request_id)
        await self._agent.send_asr_final(request_id, text)
        print("heard", text, flush=True)
        async with self._agent.response_stream(request_id) as answer:
            await answer.send_chunk(f"I heard {text}.")


async def main() -> None:
    """Serve one session until the platform ends it."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        developer_asr=True,
    )
    async with AvatarAgent(config, AgentListener()) as agent:
        await Ear(agent).listen()


with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
    asyncio.run(main())
