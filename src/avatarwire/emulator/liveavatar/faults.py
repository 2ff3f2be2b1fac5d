"""What can be made to go wrong on a Live Avatar platform, on demand."""

from collections import deque
from dataclasses import dataclass, field

from avatarwire.emulator.slow_link import LinkFaults

__all__ = ["Faults", "StartFault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFault:
    """How one ``POST /v1/session/start`` goes wrong.

    Attributes:
        code: answer with this platform code, such as 40001, and start no session.
        status: answer with this HTTP status; without ``code``, in plain text.
        html: answer with a web page, as a proxy in between would.
        no_answer: keep the client waiting until it gives up or the emulator ends (with 503).
        agent_ws_url: start the session but answer with this URL; empty: leave the field out.
    """

    code: int | None = None
    status: int | None = None
    html: bool = False
    no_answer: bool = False
    agent_ws_url: str | None = None

    def __post_init__(self) -> None:
        if not (self.refuses or self.agent_ws_url is not None):
            raise ValueError("name a fault: code, status, html, no_answer or agent_ws_url")

    @property
    def refuses(self) -> bool:
        """Whether no session comes of it."""
        return self.code is not None or self.status is not None or self.html or self.no_answer


@dataclass(slots=True, kw_only=True)
class Faults(LinkFaults):
    """What goes wrong on connections that open from now on; change it at any time.

    ``LinkFaults`` has what makes the link slow.

    Attributes:
        withhold_init: accept the WebSocket and never send ``session.init``.
        withhold: names of events that are never sent, such as ``session.state``.
        close_after_messages: close the connection once this many messages, text and binary, have
            arrived on it (the first is ``session.ready``); None: never.
        close_code: the close code used for that.
        cut_after_frames: drop the connection without a word once this many binary messages have
            arrived on it; None: never.
        stop_reading_after: take nothing more off the connection, pings included, once this many
            messages have arrived on it; None: never, and what had stopped goes on.
        pings_per_s: how many pings, of 125 bytes, each connection is sent a second, whether it is
            read or not; 0: none.
        delay_s: how much later than usual everything is sent, answers to REST calls included.
        garble_every: send only the first half of every n-th message; None: of none.
        duplicate_every: send every n-th message twice.
        reorder_every: send every n-th message after the one that follows it.
        token_life_s: how long a one-time URL can be dialled, in seconds; None: until it is used.
        starts: one entry for each coming start that fails, oldest first.
        handshakes: one entry for each coming connection that is refused, oldest first: an HTTP
            status, which leaves the one-time URL valid, or from 1000 a close code that is sent
            right after the upgrade.
        withhold_response_states: say nothing of responses, as older platforms do.
        rejections: one reason for each coming response that is rejected, oldest first.
    """

    withhold_init: bool = False
    withhold: set[str] = field(default_factory=set)
    close_after_messages: int | None = None
    close_code: int = 1011
    cut_after_frames: int | None = None
    stop_reading_after: int | None = None
    pings_per_s: int = 0
    delay_s: float = 0.0
    garble_every: int | None = None
    duplicate_every: int | None = None
    reorder_every: int | None = None
    token_life_s: float | None = None
    starts: deque[StartFault] = field(default_factory=deque)
    handshakes: deque[int] = field(default_factory=deque)
    withhold_response_states: bool = False
    rejections: deque[str] = field(default_factory=deque)

    def next_start(self) -> StartFault | None:
        """Take the fault of the start that has just arrived."""
        return self.starts.popleft() if self.starts else None

    def next_handshake(self) -> int | None:
        """Take the fault of the connection that has just been asked for."""
        return self.handshakes.popleft() if self.handshakes else None
