"""An agent session of LiveKit and a session of an avatar, made one."""

import logging
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import AgentSession, ConversationItemAddedEvent, ErrorEvent
from livekit.agents.metrics.base import AvatarMetrics
from livekit.agents.voice import TranscriptSynchronizer
from livekit.agents.voice.events import MetricsCollectedEvent, SpeechCreatedEvent
from livekit.agents.voice.speech_handle import SpeechHandle

from avatarwire._tasks import begin_later
from avatarwire.errors import SessionLostError
from avatarwire.livekit.audio_input import AvatarAudioInput
from avatarwire.livekit.audio_output import AvatarAudioOutput
from avatarwire.livekit.text_output import AvatarTextOutput
from avatarwire.livekit.user_voice import UserVoice
from avatarwire.session import Conversation, Session

__all__ = ["attach"]

logger: logging.Logger = logging.getLogger("avatarwire.livekit")

#: A session that was stopped by the program itself.
NORMAL = 1000


def attach(
    agent_session: AgentSession[Any],
    session: Session,
    *,
    platform_voice: bool = False,
    sample_rate: int | None = None,
) -> Callable[[], None]:
    """Give a LiveKit agent an avatar: its voice, its ears, and what happens between the two.

    Example::

        async with AvatarAgent(config, AgentListener()) as agent:
            agent_session = AgentSession(llm=..., tts=..., stt=..., vad=...)
            attach(agent_session, agent)
            await agent_session.start(MyAgent())
            await agent.wait_closed()

    The agent's speech becomes the avatar's, and its transcript follows what is heard. Where the
    platform carries the user, as the Live Avatar Channel does: what the user says is the agent's
    input, what the user types is answered by ``generate_reply``, what the framework recognises is
    told to the platform, and whoever interrupts, both sides stop. The framework's session emits
    ``metrics_collected`` with ``AvatarMetrics``, and ``error`` once when the avatar's is lost.

    Args:
        agent_session: the framework's session; better before than after its ``start()``.
        session: the avatar's, running.
        platform_voice: the platform speaks the agent's text with a voice of its own, and the
            agent needs none.
        sample_rate: as for ``AvatarAudioOutput``.

    Returns:
        What ends it: nothing is told to either side any more. The end of the framework's session
        does so too.

    Raises:
        ValueError: ``platform_voice`` on a session whose platform takes no text.
    """
    if platform_voice and not isinstance(session, Conversation):
        raise ValueError(
            f"{type(session).__name__} takes no text to speak: leave out platform_voice, and give"
            " the agent a tts"
        )
    return _Wiring(agent_session, session, platform_voice, sample_rate).detach


class _Wiring:
    """What is between the two sessions, while they are attached."""

    def __init__(
        self,
        agent_session: AgentSession[Any],
        session: Session,
        platform_voice: bool,
        sample_rate: int | None,
    ) -> None:
        self._agent_session = agent_session
        self._session = session
        self._output: AvatarAudioOutput | AvatarTextOutput
        self._undo: list[Callable[[], None]] = []
        self._begun_s = time.time()
        self._tasks = [begin_later(self._watch(), name="avatarwire livekit watch")]
        if platform_voice and isinstance(session, Conversation):
            self._output = AvatarTextOutput(session)
            agent_session.output.transcription = self._output
        else:
            self._output = AvatarAudioOutput(session, sample_rate=sample_rate)
            self._set_voice(self._output)
        if isinstance(session, Conversation):
            self._hear(session)
        if platform_voice:
            self._on("speech_created", self._speech_created)
        self._on("conversation_item_added", self._item_added)
        self._on("close", lambda _: self.detach())

    def detach(self) -> None:
        """Tell nothing to either side any more."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        for task in self._tasks:
            task.cancel()

    def _set_voice(self, output: AvatarAudioOutput) -> None:
        outputs = self._agent_session.output
        if outputs.audio is not None:  # with what wraps it, such as a recorder
            outputs.replace_audio_tail(output)
            return
        synchronizer = TranscriptSynchronizer(
            next_in_chain_audio=output, next_in_chain_text=outputs.transcription
        )
        outputs.audio = synchronizer.audio_output
        outputs.transcription = synchronizer.text_output

    def _hear(self, session: Conversation) -> None:
        voice = UserVoice(self._agent_session, session, self._answer)
        self._agent_session.input.audio = AvatarAudioInput(session)
        self._undo.append(session.add_listener(_Listener(self)))
        self._on("user_state_changed", voice.user_state_changed)
        self._on("agent_state_changed", voice.agent_state_changed)
        self._on("user_input_transcribed", voice.transcribed)
        self._tasks.append(begin_later(self._join(session), name="avatarwire livekit join"))

    def _on(self, event: Any, callback: Callable[..., None]) -> None:  # noqa: ANN401
        self._agent_session.on(event, callback)
        self._undo.append(lambda: self._agent_session.off(event, callback))

    # What the user does on the platform

    def typed(self, text: str, request_id: str) -> None:
        """Answer what the user typed, instead of what is being said."""
        self.stop_speech()
        self._answer(request_id)
        try:
            self._agent_session.generate_reply(user_input=text)
        except RuntimeError as exc:
            logger.warning("what the user typed is not answered: %s", exc)

    def stop_speech(self) -> None:
        """Stop what the agent says: the platform has stopped what the avatar says."""
        try:
            self._agent_session.interrupt()
        except RuntimeError as exc:  # it does not run, or its speech may not be interrupted
            logger.debug("the agent goes on: %s", exc)

    def _answer(self, request_id: str) -> None:
        self._output.request_id = request_id

    # What the agent does

    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        event.speech_handle.add_done_callback(self._text_done)

    def _text_done(self, handle: SpeechHandle) -> None:
        if handle.interrupted and isinstance(self._output, AvatarTextOutput):
            self._output.interrupt()

    def _item_added(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        latency = item.metrics.get("playback_latency") if item.type == "message" else None
        if latency is not None:
            self._emit(AvatarMetrics(timestamp=event.created_at, playback_latency=latency))

    def _emit(self, metrics: AvatarMetrics) -> None:
        self._agent_session.emit("metrics_collected", MetricsCollectedEvent(metrics=metrics))

    async def _join(self, session: Conversation) -> None:
        """Measure when the avatar is there."""
        try:
            await session.scene_ready()
        except (ConnectionError, RuntimeError):
            return
        now_s = time.time()
        self._emit(
            AvatarMetrics(
                timestamp=now_s, session_started_time=self._begun_s, avatar_joined_time=now_s
            )
        )

    async def _watch(self) -> None:
        """Tell once that the avatar's session was lost."""
        await self._session.wait_closed()
        ending = self._session.ending
        if ending is not None and ending.code != NORMAL:
            lost = SessionLostError(ending.code, ending.reason)
            self._agent_session.emit("error", ErrorEvent(error=lost, source=self._output))


class _Listener:
    """Hears the platform for a wiring."""

    def __init__(self, wiring: _Wiring) -> None:
        self._wiring = wiring

    def on_text_input(self, text: str, request_id: str) -> None:
        self._wiring.typed(text, request_id)

    def on_voice_start(self, request_id: str) -> None:
        del request_id
        self._wiring.stop_speech()

    def on_interrupt(self, request_id: str | None, scope: str | None) -> None:
        del request_id, scope
        self._wiring.stop_speech()
