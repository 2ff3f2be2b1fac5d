"""Programs that the tests run on hosts."""

import asyncio
import time

from avatarwire import fleet


def owner(job):
    """Tell the platform who starts, so that its ledger knows."""
    return {"extra_start_fields": {"epoch": job.epoch, "owner": job.host}}


@fleet.session(max_sessions=20, drain_timeout_s=1.0, settings=owner)
async def handle(agent, job):
    what = (job.data or {}).get("do", "talk")
    if what == "raise":
        raise ValueError("a secret of the program")
    if what == "return":
        return
    if what == "block" and not job.resumed:
        await asyncio.sleep(0.5)
        time.sleep(60)  # noqa: ASYNC251 - what a careless program does
    if what == "voice":
        job.on_say = lambda text: agent.send_custom_event("", "my.event", {"said": text})
    if what == "listen":
        await agent.wait_closed()
        await asyncio.sleep(600)
    while True:
        async with agent.audio_stream(sample_rate=16000) as stream:
            await stream.write(bytes(32000 // 5))
        await stream.wait_playout()
        await asyncio.sleep(0.2)
