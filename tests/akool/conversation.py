"""The conversation that every client has with the emulator, ours and the published ones.

Run as ``conversation.py MODULE DISCOVERY_URL``; it writes what it saw as JSON.
"""

import asyncio
import importlib
import json
import sys

SOUND = [bytes(range(256)) * 8, b"\x01\x02" * 100, bytes(640)]


async def converse(sdk, discovery_url):
    seen = []
    client = sdk.StreamingAvatarClient(
        api_key="any-key-at-all",
        avatar_id="avatar-1",
        discovery_url=discovery_url,
        session_id=f"session-of-{sdk.__name__}",
        max_retry_attempts=2,
        heartbeat_interval=60,
        connection_timeout=10,
        discovery_timeout=5,
        env="prod",
    )
    client.on_connected = lambda: seen.append("connected")
    client.on_disconnected = lambda: seen.append("disconnected")
    client.on_agora_connected = lambda channel: seen.append(f"agora {channel}")
    client.on_error = lambda error: seen.append(f"error {error}")
    client.on_message = lambda message: seen.append(message["type"])
    await client.connect()
    await client.set_agora_params(
        agora_app_id="app-1",
        agora_channel="channel-1",
        agora_token="rtc-token",
        agora_uid="12345",
        voice_id="voice-1",
        language="de",
        background_url="https://example.test/wall.png",
    )
    await client.send_audio(SOUND[0])
    await client.send_audio_stream(SOUND[1:])
    await client.interrupt()
    info = client.get_connection_info()
    await client.disconnect()
    return {"seen": seen, "info": info, "connected": client.is_connected}


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    json.dump(asyncio.run(converse(module, sys.argv[2])), sys.stdout)
