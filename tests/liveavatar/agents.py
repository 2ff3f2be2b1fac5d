"""A listener that notes every call, and a configuration for the emulator."""

import asyncio

from avatarwire import AgentListener, AvatarAgentConfig

KEY = "sk-secret-key"


class Recorder(AgentListener):
    """Notes each callback as (name, arguments) and lets a test wait for one."""

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

    async def on_text_input(self, text, request_id):
        self.note("on_text_input", text, request_id)

    async def on_session_init(self, session_id, user_id):
        self.note("on_session_init", session_id, user_id)

    async def on_session_state(self, state):
        self.note("on_session_state", state)

    async def on_session_closing(self, reason):
        self.note("on_session_closing", reason)

    async def on_scene_ready(self):
        self.note("on_scene_ready")

    async def on_response_state(self, event):
        self.note("on_response_state", event)

    async def on_voice_start(self, request_id):
        self.note("on_voice_start", request_id)

    async def on_voice_finish(self, request_id):
        self.note("on_voice_finish", request_id)

    async def on_resource_transition(self, data):
        self.note("on_resource_transition", data)

    async def on_asr_partial(self, text, request_id, seq):
        self.note("on_asr_partial", text, request_id, seq)

    async def on_asr_final(self, text, request_id):
        self.note("on_asr_final", text, request_id)

    async def on_interrupt(self, request_id, scope):
        self.note("on_interrupt", request_id, scope)

    async def on_idle_trigger(self, reason, idle_time_ms):
        self.note("on_idle_trigger", reason, idle_time_ms)

    async def on_audio_frame(self, frame):
        self.note("on_audio_frame", frame)

    async def on_error(self, code, message):
        self.note("on_error", code, message)

    async def on_reconnecting(self, attempt, delay_s):
        self.note("on_reconnecting", attempt, delay_s)

    async def on_reconnected(self, result):
        self.note("on_reconnected", result)

    async def on_closed(self, code, reason):
        self.note("on_closed", code, reason)

    async def on_event(self, event):
        self.note("on_event", event)


def config_for(emulator, **changes):
    return AvatarAgentConfig(
        **{
            "api_key": KEY,
            "avatar_id": "avatar-1",
            "base_url": emulator.base_url,
            "timeout": 5.0,
            **changes,
        }
    )
