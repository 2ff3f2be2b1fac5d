"""The Agora channel that the avatar appears in: set, and set again on another connection."""

import asyncio
from collections.abc import Callable

from avatarwire._checks import is_whole
from avatarwire._tasks import begin_later
from avatarwire.akool.acks import Acks
from avatarwire.akool.config import ClientConfig
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    AudioStreamError,
    ConnectionError,  # noqa: A004 - the published name
)
from avatarwire.akool.messages import AgoraParams, Wire
from avatarwire.akool.protocol import AGORA, AkoolProtocol, Received
from avatarwire.errors import SessionLostError
from avatarwire.session.dialect import Part
from avatarwire.session.tasks import keep
from avatarwire.transport import SecretBytes

__all__ = ["AgoraChannel", "checked_params"]


class AgoraChannel(Part[Received]):
    """Takes the avatar of one client into its channel.

    Args:
        config: whose session.
        wire: how messages are built.
        protocol: what has been received.
        acks: the calls that wait for answers.
        require_open: raises ConnectionError when there is no connection.
        not_restored: told why a new connection could not be brought to where the lost one was.
    """

    def __init__(
        self,
        config: ClientConfig,
        wire: Wire,
        protocol: AkoolProtocol,
        acks: Acks,
        *,
        require_open: Callable[[], None],
        not_restored: Callable[[AkoolStreamingAvatarError], object],
    ) -> None:
        self._config = config
        self._wire = wire
        self._protocol = protocol
        self._acks = acks
        self._require_open = require_open
        self._not_restored = not_restored
        self._is_restoring = False
        self._params: AgoraParams | None = None
        # One after the other: there is one channel to be in.
        self._lock = asyncio.Lock()

    async def set(self, params: AgoraParams) -> None:
        """Say where the avatar appears; return when it is there.

        Raises:
            ConnectionError: not connected.
            AudioStreamError: the platform's refusal, or no confirmation in time.
        """
        self._require_open()
        async with self._lock:
            await self._set(params)
            self._params = params

    def begin(self) -> None:
        """Begin another session: there is nothing to restore."""
        self._params = None
        self._is_restoring = False

    def gap(self, lost: SessionLostError) -> None:
        """Note that the avatar is in no channel until there is another connection."""
        del lost
        self._protocol.is_agora_connected = False
        self._is_restoring = True

    def connected(self) -> None:
        """Set the channel again on a new connection."""
        if self._is_restoring and self._params is not None:
            keep(begin_later(self._restore(), name="avatarwire restore"))
        self._is_restoring = False

    def ended(self, lost: SessionLostError) -> None:
        """Note that the avatar is in no channel any more."""
        del lost
        self._protocol.is_agora_connected = self._is_restoring = False

    async def _restore(self) -> None:
        try:
            async with self._lock:
                if self._params is not None:
                    await self._set(self._params)
        except AkoolStreamingAvatarError as exc:
            if self._protocol.is_connected:
                self._not_restored(exc)

    async def _set(self, params: AgoraParams) -> None:
        self._require_open()
        self._config.agora_token = params.token  # the platform's words may quote it
        try:
            message = self._wire.set_params(params)
        except TypeError as exc:
            raise AudioStreamError("the Agora parameters cannot be written as JSON") from exc
        message = message._replace(json=SecretBytes(message.json))  # with the token in it
        in_channel = self._protocol.is_agora_connected
        agora = None if in_channel else self._acks.expect(AGORA)
        try:
            if message.mid:
                await self._acks.call(message, self._config.message_timeout)
            else:
                await self._acks.send(message.json)
            if agora is not None:
                await self._acks.wait(agora, self._config.connection_timeout, "agora_connected")
        except ConnectionError as exc:
            raise AudioStreamError(f"Failed to set Agora parameters: {exc}", code=exc.code) from exc
        finally:
            self._acks.forget(AGORA)


def checked_params(
    app_id: object,
    channel: object,
    token: object,
    uid: object,
    voice_id: object,
    language: object,
    background_url: object,
) -> AgoraParams:
    """Return the parameters of ``set_agora_params``, checked.

    Raises:
        AudioStreamError: one is of a wrong type.
    """
    texts = {
        "agora_app_id": app_id,
        "agora_channel": channel,
        "agora_token": token,
        "voice_id": voice_id or "",
        "language": language,
        "background_url": background_url or "",
    }
    checked = {}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise AudioStreamError(f"{name} must be str, not {type(value).__name__}")
        checked[name] = value
    if not isinstance(uid, str) and not is_whole(uid):
        raise AudioStreamError(f"agora_uid must be str, not {type(uid).__name__}")
    return AgoraParams(
        app_id=checked["agora_app_id"],
        channel=checked["agora_channel"],
        token=checked["agora_token"],
        uid=uid,
        voice_id=checked["voice_id"],
        language=checked["language"],
        background_url=checked["background_url"],
    )
