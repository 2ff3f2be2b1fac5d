"""A program that a fleet runs: each session greets its user, then echoes what is typed.

Run it on two hosts of this machine, with a platform of its own::

    avatarwire fleet run fleet_program:handle --hosts 2
"""

from avatarwire import AgentListener, AvatarAgent, fleet
from avatarwire.fleet import Job


@fleet.session(max_sessions=500, drain_timeout_s=60)
async def handle(agent: AvatarAgent, job: Job) -> None:
    """Speak with one user until the session ends."""

    class Echo(AgentListener):
        async def on_text_input(self, text: str, request_id: str) -> None:
            async with agent.response_stream(request_id) as response:
                await response.send_chunk(f"You said: {text}")

    stop_listening = agent.add_listener(Echo())
    if not job.resumed:
        async with agent.response_stream(f"hello-{job.id}") as response:
            await response.send_chunk("Hello!")
    await agent.wait_closed()
    stop_listening()
