"""An output written the way such things are first written: the control of these tests.

Every habit in here is one that a public report is about; see ``test_reports_of_pipecat.py``. It
shows that the tests can fail, and is nothing to copy.
"""

import asyncio

from pipecat.frames.frames import TTSStartedFrame, TTSStoppedFrame
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from avatarwire import SessionState

RATE = 24000


class NaiveOutput(BaseOutputTransport):
    """Sends each chunk when it comes, sleeps, and believes that all is 24 kHz mono."""

    pace = 1.0

    def __init__(self, agent):
        super().__init__(TransportParams(audio_out_enabled=True))
        self.agent = agent
        self.is_idle = asyncio.Event()
        self.is_open = False
        agent.add_listener(self)

    async def start(self, frame):
        await super().start(frame)
        await self.agent.start()
        await self.set_transport_ready(frame)

    async def stop(self, frame):
        await super().stop(frame)
        if self.is_open:
            await self.agent.send_response_audio_finish("r", "p")
            await self.is_idle.wait()
        await self.agent.stop()

    async def cancel(self, frame):
        await super().cancel(frame)
        await self.agent.stop()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSStartedFrame):
            await self.agent.send_response_audio_start("r", "p")
            self.is_open = True
            self.is_idle.clear()
        elif isinstance(frame, TTSStoppedFrame):
            await self.agent.send_response_audio_finish("r", "p")

    async def write_audio_frame(self, frame):
        await self.agent.send_audio(frame.audio, sample_rate=RATE)
        await asyncio.sleep(self.pace * len(frame.audio) / 2 / RATE)
        return True

    async def on_session_state(self, state):
        if state is SessionState.IDLE:
            self.is_idle.set()


class HastyOutput(NaiveOutput):
    """Does the same as fast as it can."""

    pace = 0.0
