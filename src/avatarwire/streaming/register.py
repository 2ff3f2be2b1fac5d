"""Which streams of one agent are not over yet, and which of them is open."""

from avatarwire.streaming.stream import AudioStream

__all__ = ["StreamRegister", "TurnRegister"]


class StreamRegister:
    """The streams that share the connections of one session."""

    def __init__(self) -> None:
        self._playing: list[AudioStream] = []

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` sends from now on."""
        self._forget_resolved()
        self._playing.append(stream)

    def gap(self, mode: str) -> None:
        """The connection is lost, and another may follow; ``mode`` is the agent's ``on_gap``."""
        for stream in self._playing:
            if mode == "fail":
                stream.end("lost")
            else:
                stream.hold(drop=mode == "drop")

    def connected(self) -> None:
        """There is a connection: streams that were held go on."""
        for stream in self._playing:
            stream.go_on()

    def ended(self) -> None:
        """The connection is gone for good, or about to be: nothing can be sent any more."""
        for stream in self._playing:
            stream.end("lost")
        self._forget_resolved()

    def _forget_resolved(self) -> None:
        self._playing = [stream for stream in self._playing if not stream.is_resolved]


class TurnRegister(StreamRegister):
    """Streams of which one is open at a time; earlier ones may still be played."""

    def __init__(self) -> None:
        super().__init__()
        self._open: AudioStream | None = None

    def require_none(self, call: str) -> None:
        """Refuse ``call`` while a turn is open.

        Raises:
            RuntimeError: a turn is open.
        """
        if self._open is not None and not self._open.is_resolved:
            raise RuntimeError(
                f"{call} while the audio stream {self._open.response_id!r} is open: "
                "leave or interrupt that one first"
            )

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` speaks from now on."""
        super().opened(stream)
        self._open = stream

    def closed(self, stream: AudioStream) -> None:
        """Note that ``stream`` sends nothing more."""
        if self._open is stream:
            self._open = None
