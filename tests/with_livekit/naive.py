"""An output written the way such things are first written: the control of these tests.

Every habit in here is one that a public report is about; see ``test_reports.py``. It shows that
the tests can fail, and is nothing to copy.
"""

import asyncio
import time

from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from avatarwire import SessionState


class NaiveAudioOutput(AudioOutput):
    """Sends frame by frame in real time, and believes every IDLE."""

    def __init__(self, agent):
        super().__init__(label="naive", capabilities=AudioOutputCapabilities(pause=False))
        self.agent = agent
        self.queue = asyncio.Queue(maxsize=50)
        self.kept = []  # for a recording that nobody asked for
        self.is_speaking = False
        self.sent_s = 0.0
        agent.add_listener(self)
        self.sender = asyncio.create_task(self.send())

    async def capture_frame(self, frame):
        await super().capture_frame(frame)
        self.kept.append(bytes(frame.data))
        if not self.is_speaking:
            self.is_speaking = True
            self.on_playback_started(created_at=time.time())
        await self.queue.put(frame)

    def flush(self):
        super().flush()
        if self.is_speaking:
            self.is_speaking = False
            self.task = asyncio.create_task(self.queue.put(None))

    def clear_buffer(self):
        if self.queue.empty():
            return  # everything has been sent: nothing is left to stop
        self.queue.get_nowait()
        self.task = asyncio.create_task(self.agent.send_interrupt())

    async def send(self):
        is_open = False
        while True:
            frame = await self.queue.get()
            if frame is None:
                if is_open:
                    await self.agent.send_response_audio_finish("r", "p")
                is_open = False
                continue
            if not is_open:
                is_open = True
                self.sent_s = 0.0
                await self.agent.send_response_audio_start("r", "p")
            await self.agent.send_audio(frame.data, sample_rate=frame.sample_rate)
            self.sent_s += frame.duration
            await asyncio.sleep(frame.duration)

    async def on_session_state(self, state):
        if state is SessionState.IDLE:
            self.on_playback_finished(playback_position=self.sent_s, interrupted=False)
