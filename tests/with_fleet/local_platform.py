"""An emulator in a process of its own, with a window into its ledger and a knife."""

import asyncio
import sys

from aiohttp import web

from avatarwire.emulator import LiveAvatarEmulator


def spoken(session):
    """Return, for each connection, when it was ready and when sound first and last came on it."""
    connections = []
    for entry in session.transcript:
        if entry.direction != "received":
            continue
        if entry.kind == "text":
            if '"session.ready"' in entry.data:
                connections.append({"ready_s": entry.time_s, "first_s": None, "last_s": None})
        elif connections:
            connections[-1]["first_s"] = connections[-1]["first_s"] or entry.time_s
            connections[-1]["last_s"] = entry.time_s
    return connections


def described(session):
    return {
        "session_id": session.session_id,
        "epochs": [body.get("epoch") for body in session.start_requests],
        "owners": [body.get("owner") for body in session.start_requests],
        "speech": spoken(session),
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

        async def cut(request):
            for each in emulator.sessions:
                if each.session_id == request.query["session_id"]:
                    each.cut()
            return web.Response(status=204)

        app.router.add_get("/ledger", ledger)
        app.router.add_post("/ledger", cut)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ledger_url = f"http://127.0.0.1:{runner.addresses[0][1]}/ledger"
        sys.stdout.write(f"{emulator.base_url}\n{ledger_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
