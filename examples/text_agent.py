"""Answer what the user types, in text that the platform speaks, as a language model makes it.

A new question ends the answer to the one before it.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig


async def tokens(question: str) -> AsyncIterator[str]:
    """Stand in for your model: one word every 30 ms."""
    for word in f"You asked: {question} That deserves a long and thoughtful answer.".split():
        await asyncio.sleep(0.03)
        yield word + " "


class Assistant(AgentListener):
    """Has one answer going at a time."""

    agent: AvatarAgent

    def __init__(self) -> None:
        self._answering: asyncio.Task[None] | None = None

    async def on_text_input(self, text: str, request_id: str) -> None:
        """Answer, and abandon the answer before."""
        if self._answering is not None:
            self._answering.cancel()
        self._answering = asyncio.create_task(self._answer(text, request_id))

    async def _answer(self, text: str, request_id: str) -> None:
        # Leaving by a cancellation sends response.cancel; leaving normally completes the answer.
        async with self.agent.response_stream(request_id) as stream:
            await stream.write_all(tokens(text), flush_ms=50)
        end = await stream.wait_finished(timeout=60)
        print(f"{text!r}: {end.state} {end.reason}", flush=True)


async def main() -> None:
    """Serve one session until the platform ends it."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        reconnect=True,
    )
    assistant = Assistant()
    agent = assistant.agent = AvatarAgent(config, assistant)
    async with agent:
        await agent.wait_closed()


with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
    asyncio.run(main())
