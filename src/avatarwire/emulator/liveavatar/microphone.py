"""A user's microphone that is open: frames to the client, and turns found by their level."""

import uuid
from collections.abc import Callable

from avatarwire.audio import PcmFormat, level
from avatarwire.codec import PcmFramer
from avatarwire.emulator.liveavatar.player import Player
from avatarwire.liveavatar.messages import Event, MessageBuilder

__all__ = ["Microphone"]

FORMAT = PcmFormat(16000, 1)
FRAME_MS = 40
PIECE_BYTES = FORMAT.bytes_per_second * 20 // 1000
#: Root mean square, of full scale: above it somebody speaks.
LOUD = 0.03
#: In pieces of 20 ms. A click is shorter than the first, a pause between words than the second.
BEGINS_AFTER = 4
ENDS_AFTER = 40


class Microphone:
    """Sends what the user says to the client, and interrupts the avatar when the user begins.

    The platform recognises no words here: the client does. It tells when the user begins and ends,
    and clears what was playing, as the platform does.

    Args:
        post_event: sends an event to the client.
        post_frame: sends a binary message to the client.
        player: the avatar.
    """

    def __init__(
        self,
        post_event: Callable[[Event], None],
        post_frame: Callable[[bytes], None],
        player: Player,
    ) -> None:
        self._post_event = post_event
        self._post_frame = post_frame
        self._player = player
        self._framer = PcmFramer(sample_rate=FORMAT.sample_rate, frame_ms=FRAME_MS)
        self._rest = b""
        self._loud = self._quiet = 0
        self._request_id = ""

    def __call__(self, pcm: bytes) -> None:
        """Take what it hears, as 16 kHz mono PCM."""
        for frame in self._framer.frames(pcm):
            self._post_frame(frame)
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % PIECE_BYTES
        for at in range(0, whole, PIECE_BYTES):
            self._listen(pcm[at : at + PIECE_BYTES])
        self._rest = pcm[whole:]

    def _listen(self, piece: bytes) -> None:
        if level(piece)[0] > LOUD:
            self._loud, self._quiet = self._loud + 1, 0
        else:
            self._loud, self._quiet = 0, self._quiet + 1
        if not self._request_id and self._loud == BEGINS_AFTER:
            self._request_id = str(uuid.uuid4())
            self._post_event(MessageBuilder.input_voice_start(self._request_id))
            self._player.listen()
        elif self._request_id and self._quiet == ENDS_AFTER:
            self._post_event(MessageBuilder.input_voice_finish(self._request_id))
            self._player.unheard()
            self._request_id = ""
