"""A transport of Pipecat that is an avatar."""

from pipecat.frames.frames import BotConnectedFrame, ClientConnectedFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport

from avatarwire.pipecat.connection import Connection
from avatarwire.pipecat.input import AvatarInputTransport
from avatarwire.pipecat.output import AvatarOutputTransport
from avatarwire.pipecat.params import AvatarParams
from avatarwire.session import Conversation, Session

__all__ = ["AvatarTransport"]


class AvatarTransport(BaseTransport):
    """Puts an avatar at both ends of a pipeline, on a session of any platform.

    Example::

        transport = AvatarTransport(AvatarAgent(config, AgentListener()))
        pipeline = Pipeline([transport.input(), ..., tts, transport.output(), ...])

    A session that does not run is started with the pipeline and stopped with it. Event handlers:
    ``on_connected(transport)`` and ``on_disconnected(transport)`` when the session begins and has
    ended, ``on_client_connected(transport, session_id)`` when the user's browser shows the avatar,
    and ``on_client_disconnected(transport, session_id)``.

    Args:
        session: the avatar's.
        params: what is sent and heard, and how.
        name: of the transport; ``input_name`` and ``output_name`` are its processors'.
    """

    def __init__(
        self,
        session: Session,
        params: AvatarParams | None = None,
        *,
        name: str | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        super().__init__(name=name, input_name=input_name, output_name=output_name)
        self._session = session
        self._params = params or AvatarParams()
        self._connection = Connection(session, self._listeners, self._connected, self._disconnected)
        self._input: AvatarInputTransport | None = None
        self._output: AvatarOutputTransport | None = None
        self._is_connected = False
        self._client: str | None = None
        for event in ("connected", "disconnected", "client_connected", "client_disconnected"):
            self._register_event_handler(f"on_{event}")

    @property
    def dropped_ms(self) -> float:
        """How much sound was not spoken because its turn had been interrupted, or had ended."""
        return 0.0 if self._output is None else self._output.dropped_ms

    def input(self) -> FrameProcessor:
        """Return what the user says, types and does."""
        if self._input is None:
            self._input = AvatarInputTransport(
                self._connection, self._params, name=self._input_name
            )
        return self._input

    def output(self) -> FrameProcessor:
        """Return the avatar's voice."""
        if self._output is None:
            self._output = AvatarOutputTransport(
                self._connection, self._params, name=self._output_name
            )
        return self._output

    def get_client_id(self, client: object) -> str:
        """Return the id of a client: the session's."""
        return str(client)

    async def on_scene_ready(self) -> None:
        """Tell that the user's browser shows the avatar."""
        if self._is_connected and self._client is None:
            self._client = self._session.session_id or ""
            await self._call_event_handler("on_client_connected", self._client)
            if self._input is not None:
                await self._input.push_frame(ClientConnectedFrame())

    def _listeners(self) -> list[object]:
        return [self] if self._input is None else [self, self._input]

    async def _connected(self) -> None:
        await self._call_event_handler("on_connected")
        if self._input is not None:
            await self._input.push_frame(BotConnectedFrame())
        self._is_connected = True
        # A platform without scenes has no other word.
        if not isinstance(self._session, Conversation) or await _is_shown(self._session):
            await self.on_scene_ready()

    async def _disconnected(self, lost: str | None) -> None:
        self._is_connected = False
        if lost is not None and self._output is not None:
            await self._output.push_error(lost)
        if self._client is not None:
            client, self._client = self._client, None
            await self._call_event_handler("on_client_disconnected", client)
        await self._call_event_handler("on_disconnected")


async def _is_shown(session: Conversation) -> bool:
    try:
        await session.scene_ready(0)
    except (TimeoutError, ConnectionError, RuntimeError):
        return False
    return True
