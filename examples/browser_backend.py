"""A backend that starts a session for each visitor and hands the user's token to the page.

    pip install fastapi uvicorn
    uvicorn browser_backend:app

The API key and the agent's own URL stay on the server: the page gets the video room's address and
the token of its user, nothing else.
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from avatarwire import (
    AgentListener,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ErrorCode,
    SessionStartError,
)

log = logging.getLogger(__name__)

#: Of the reasons for a refusal, those that pass; a wrong key, say, does not.
BUSY = {
    ErrorCode.NO_ORCHESTRATION_POD,
    ErrorCode.NO_RENDERER_POD,
    ErrorCode.CONCURRENCY_LIMIT_EXCEEDED,
}

PAGE = """<!doctype html>
<title>Avatar</title>
<script src="https://cdn.jsdelivr.net/npm/livekit-client@2/dist/livekit-client.umd.min.js"></script>
<button>Start</button><div></div>
<script>
document.querySelector("button").onclick = async () => {
  const answer = await fetch("/sessions", {method: "POST"});
  const session = await answer.json();
  if (!answer.ok) return alert(session.detail);
  const room = new LivekitClient.Room();
  room.on("trackSubscribed", track => document.querySelector("div").append(track.attach()));
  await room.connect(session.sfu_url, session.user_token);
  await room.localParticipant.setMicrophoneEnabled(true);
  addEventListener("pagehide", () =>
    fetch("/sessions/" + session.session_id, {method: "DELETE", keepalive: true}));
};
</script>
"""

agents: dict[str, AvatarAgent] = {}


class Echo(AgentListener):
    """Put your agent here."""

    agent: AvatarAgent

    async def on_text_input(self, text: str, request_id: str) -> None:
        """Answer what the visitor typed."""
        async with self.agent.response_stream(request_id) as answer:
            await answer.send_chunk(f"You said: {text}")

    async def on_closed(self, code: int, reason: str) -> None:
        """Forget the session, whoever ended it."""
        print("session", self.agent.session_id, "has ended:", code, reason)
        agents.pop(self.agent.session_id or "", None)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Stop what still runs when the server stops: a session is billed until then."""
    yield
    for agent in list(agents.values()):
        await agent.stop()


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """Return the page."""
    return PAGE


@app.post("/sessions", status_code=201)
async def start() -> dict[str, str]:
    """Start a session."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
    )
    listener = Echo()
    agent = listener.agent = AvatarAgent(config, listener)
    try:
        session = await agent.start()
    except AvatarwireError as exc:
        log.warning("no session for a visitor: %s", exc)
        if isinstance(exc, SessionStartError) and exc.error_code in BUSY:
            raise HTTPException(503, "no avatar is free; try again in a few seconds") from exc
        raise HTTPException(502, "no avatar can be had; the server's log says why") from exc
    agents[session.session_id] = agent
    return {
        "session_id": session.session_id,
        "sfu_url": session.sfu_url,
        "user_token": session.user_token,
    }


@app.delete("/sessions/{session_id}", status_code=204)
async def stop(session_id: str) -> None:
    """Stop a session."""
    agent = agents.pop(session_id, None)
    if agent is None:
        raise HTTPException(404, "no such session")
    await agent.stop()
