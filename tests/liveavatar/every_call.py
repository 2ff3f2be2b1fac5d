"""A program that makes every call of the published SDK 0.4.4, with the package that is named.

Usage: python every_call.py PACKAGE BASE_URL
"""

import asyncio
import sys
import warnings
from importlib import import_module

sdk = import_module(sys.argv[1])
META = {"trace": "t-1", "nested": {"é": [1, None, 2.5]}}


async def text(agent):
    await agent.send_response_start("r1", "p1")
    await agent.send_response_chunk("r1", "p1", 0, 1000, "Good ")
    await agent.send_response_chunk("r1", "p1", 1, 1001, "morgen, 早上好", META)
    await agent.send_response_done("r1", "p1")
    await agent.send_response_start("r2", "p2", speed=1.5, volume=0.5, mood="happy", metadata=META)
    await agent.send_response_cancel("p2")
    await agent.send_response_chunk("r3", "p3", 0, 1002, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        await agent.send_response_chunk("r3", "other", 1, 1003, "x")
        await agent.send_response_done("r3", "other", META)
    await agent.send_prompt("Still there?")
    await agent.send_prompt("Still there?", META)


async def streams(agent):
    async with agent.response_stream(
        "r4", speed=0.5, volume=1.5, mood="calm", metadata=META
    ) as stream:
        await stream.send_chunk("one ", timestamp=2000)
        async with agent.response_stream("r5", send_start=False) as other:
            await other.send_chunk("two", timestamp=2001, metadata=META)
        await stream.done(META)
    try:
        async with agent.response_stream("r4") as stream:
            await stream.send_chunk("abandoned", timestamp=2002)
            raise LookupError  # noqa: TRY301 - what a program does
    except LookupError:
        pass
    async with agent.response_stream("r4") as stream:
        await stream.cancel()
    async with agent.prompt_stream("step-1", response_id="prompt-1") as prompt:
        await prompt.send("three ", timestamp=2003)
        await prompt.send("four", timestamp=2004)
    async with agent.prompt_stream("step-2") as prompt:
        await prompt.done()


async def sound(agent):
    frame = sdk.AudioFrame(0, 1, 7, 40, 1, 960, 0, b"\1\2" * 960)
    await agent.send_response_audio_start("r6", "p6")
    await agent.send_audio_frame(frame)
    await agent.send_response_audio_finish("r6", "p6")
    await agent.send_response_audio_start("r7", "p7", META)
    await agent.send_audio_frame(sdk.AudioFrame(seq=4095, timestamp=1048575, payload=b"\0" * 640))
    await agent.send_response_audio_finish("r7", "p7", META)
    await agent.send_prompt_audio_start()
    await agent.send_audio_frame(sdk.AudioFrame(codec=1, payload=b"opus"))
    await agent.send_prompt_audio_finish()
    await agent.send_external_audio(b"\1\2\3\4")
    await agent.send_external_audio(b"\5\6" * 1000, timestamp_us=-5_000_000)

    async def frames():
        yield frame
        yield frame

    await agent.send_external_playback("r8", "p8", frames())


async def recognition(agent):
    await agent.send_voice_start("r9")
    await agent.send_voice_start("r9", META)
    await agent.send_asr_partial("r9", "he", 1)
    await agent.send_asr_partial("r9", "hello", 2, META)
    await agent.send_voice_finish("r9")
    await agent.send_voice_finish("r9", META)
    await agent.send_asr_final("r9", "hello")
    await agent.send_asr_final("r9", "hello", META)


async def control(agent):
    await agent.send_interrupt()
    await agent.send_interrupt("r9")
    await agent.send_interrupt("r9", META)
    for scope in ("VOICE_ONLY", "", " ", "BGM_ONLY", " VOICE_AND_ACCOMPANIMENT "):
        await agent.send_interrupt(interrupt_scope=scope)
    await agent.send_interrupt("r9", META, interrupt_scope="BGM_ONLY")
    await agent.send_error("ASR", "deaf")
    await agent.send_error("ASR", "deaf", "r9")
    await agent.send_custom_event(None, "my.event")
    await agent.send_custom_event("r9", "my.event", {})
    await agent.send_custom_event("r9", "my.event", META)


async def main():
    config = sdk.AvatarAgentConfig(
        "sk-any",
        "avatar-1",
        base_url=sys.argv[2],
        sandbox=True,
        voice_id="voice-1",
        voice_config={"speed": 1.2, "similarity_boost": 0.5, "pitch": None},
        external_audio_config={"sampleRate": 16000, "channels": 1},
        reconnect=False,
    )
    agent = sdk.AvatarAgent(config, sdk.AgentListener())
    await agent.start()
    for part in (text, streams, sound, recognition, control):
        await part(agent)
    await agent.stop()


asyncio.run(main())
