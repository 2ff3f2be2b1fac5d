"""An emulator in a process of its own, with a window into its ledger."""

import asyncio
import sys

from aiohttp import web

from avatarwire.emulator import LiveAvatarEmulator


def described(session):
    return {
        "session_id": session.session_id,
        "epochs": [body.get("epoch") for body in session.start_requests],
        "owners": [body.get("owner") for body in session.start_requests],
        "is_connected": session.is_connected,
        "ended": session.ended,
        "stops": session.stop_requests,
        "heard_ms": sum(format_.ms(len(pcm)) for format_, pcm in session.audio_runs),
        "events": [event.get("event") for event in session.events[-50:]],
        "customs": [event for event in session.events if event.get("event") == "my.event"],
    }


async def main():
    async with LiveAvatarEmulator(api_key="sk-secret-key", greeting=None) as emulator:

        async def ledger(_):
            return web.json_response([described(each) for each in emulator.sessions])

        app = web.Application()
        app.router.add_get("/ledger", ledger)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(emulator.base_url, flush=True)
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/ledger", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
