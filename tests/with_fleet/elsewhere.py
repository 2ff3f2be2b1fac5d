"""A program for a platform that there is not."""

from avatarwire import fleet


@fleet.session(platform="elsewhere")
async def handle(agent, job):
    await agent.wait_closed()
