"""A client whose handlers note what they are told."""

import asyncio

from avatarwire.akool import StreamingAvatarClient

KEY = "sk-secret-key"
AGORA = {
    "agora_app_id": "app-1",
    "agora_channel": "channel-1",
    "agora_token": "rtc-secret-token",
    "agora_uid": "12345",
}


class Recorder:
    """Notes each handler's call as (name, arguments) and lets a test wait for one."""

    def __init__(self):
        self.calls = []
        self._news = asyncio.Event()

    def note(self, name, *arguments):
        self.calls.append((name, arguments))
        self._news.set()

    def named(self, name):
        return [arguments for called, arguments in self.calls if called == name]

    async def wait_for(self, name, count=1, timeout_s=5.0):
        async with asyncio.timeout(timeout_s):
            while len(self.named(name)) < count:
                self._news.clear()
                await self._news.wait()
        return self.named(name)[count - 1]

    def listen_to(self, client):
        for name in ("connected", "disconnected", "agora_connected", "error", "message"):
            setattr(client, f"on_{name}", lambda *args, name=name: self.note(name, *args))
        return client


def client_for(emulator, **changes):
    return StreamingAvatarClient(
        **{
            "api_key": KEY,
            "avatar_id": "avatar-1",
            "discovery_url": emulator.discovery_url,
            "connection_timeout": 10,
            **changes,
        }
    )
