"""The settings of an avatar's transport."""

from pipecat.transports.base_transport import TransportParams
from pydantic import model_validator

__all__ = ["AvatarParams"]


class AvatarParams(TransportParams):
    """Pipecat's own settings, with an avatar's defaults, and how its speech is paced.

    Parameters:
        audio_in_enabled: hear the user, where the platform sends the user's voice.
        audio_out_enabled: speak.
        audio_out_end_silence_secs: none: every turn of an avatar is heard to its end.
        lead_ms: how much sound may be ahead of playout: room for a slow network or event loop.
        buffer_ms: how much more may be queued before the pipeline waits.

    Raises:
        ValueError: a mixer, whose background has no turns, or more than one channel.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_end_silence_secs: int = 0
    lead_ms: float = 400
    buffer_ms: float = 80

    @model_validator(mode="after")
    def _check_what_an_avatar_can(self) -> "AvatarParams":
        if self.audio_out_mixer is not None:
            raise ValueError(
                "an avatar speaks in turns, and a mixer's background has no end: leave out"
                " audio_out_mixer"
            )
        if self.audio_out_channels != 1:
            raise ValueError(f"an avatar's voice is mono, not {self.audio_out_channels} channels")
        return self
