"""What the listener has heard of one turn: the marks passed, the words, and which sound when."""

import asyncio
from collections import deque
from collections.abc import Sequence

from avatarwire.streaming.progress import Progress
from avatarwire.streaming.telling import Callbacks, tell
from avatarwire.streaming.timeline import Timeline
from avatarwire.streaming.words import Spoken, Text, Words, separator

__all__ = ["Hearing"]

#: So many characters are kept of one turn, marks and words included; each of those counts as more.
MOST_CHARACTERS = 1_000_000
ENTRY_CHARACTERS = 10
#: How soon it is asked again whether a mark has been passed whose time has come.
AGAIN_S = 0.01


class Hearing:
    """Follows the position of one turn; made for a turn that has something to follow it for.

    Places are samples of the sound that goes to the platform, without what a gap has dropped.

    Args:
        timeline: the turn's sound in time.
        sample_rate: its samples in a second.
        callbacks: what the program is told.
        name: what an error calls the turn.
    """

    __slots__ = (
        "_characters",
        "_heard",
        "_last",
        "_marks",
        "_name",
        "_on_mark",
        "_on_progress",
        "_passed",
        "_rate",
        "_reached",
        "_said",
        "_timeline",
        "_timer",
        "_told",
    )

    def __init__(
        self, timeline: Timeline, sample_rate: int, callbacks: Callbacks, name: str
    ) -> None:
        self._timeline = timeline
        self._rate = sample_rate
        self._on_mark = callbacks.on_mark
        self._on_progress = callbacks.on_progress
        self._name = name
        self._marks: deque[tuple[int, str]] = deque()  # that were not passed yet
        self._passed: list[str] = []
        self._said: deque[Spoken] = deque()  # of which not all was heard yet
        self._heard: list[str] = []
        self._last = ""  # what was said last, for the space behind it
        self._characters = 0
        # What a gap takes back in the middle of a frame is heard again, and was heard before.
        self._reached = 0
        self._told = 0  # up to where progress was told
        self._timer: asyncio.TimerHandle | None = None

    # What the program writes

    def mark(self, at: int, name: str) -> None:
        """Note a mark behind so much sound.

        Raises:
            ValueError: the turn has too many marks and words.
        """
        self._take(len(name) + ENTRY_CHARACTERS)
        self._marks.append((at, name))

    def require_room(self, said: str | Sequence[tuple[str, float]]) -> None:
        """Count what is said in a piece of sound, before it is taken.

        Raises:
            ValueError: the turn has too many words.
        """
        words = [said] if isinstance(said, str) else [word for word, _ in said]
        self._take(sum(map(len, words)) + len(words) * ENTRY_CHARACTERS)

    def text(self, start: int, end: int, text: str) -> None:
        """Note what is said from ``start`` to ``end``."""
        self._said.append(Text(start, end, text))
        self._last = text[-1:] or self._last

    def words(self, start: int, words: Sequence[tuple[str, float]]) -> None:
        """Note words that begin so many milliseconds behind ``start``."""
        spaced = []
        for word, at_ms in words:
            spaced.append(
                (start + round(at_ms * self._rate / 1000), separator(self._last, word) + word)
            )
            self._last = word[-1:] or self._last
        self._said.append(Words(spaced))

    # What becomes of the sound

    def before_sent(self, now_s: float) -> None:
        """Tell what was heard: what is sent now may move the clock."""
        self._advance(now_s, self._position(now_s))

    def sent(self, now_s: float) -> None:
        """Wait for the next mark in what was sent."""
        if self._timer is not None or self._on_mark is None or not self._marks:
            return
        at = self._marks[0][0]
        if at <= self._timeline.sent_samples:
            delay_s = max((at - self._position(now_s)) / self._rate, AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def stopped(self, now_s: float) -> None:
        """Note that what was not heard is about to be taken back."""
        self._advance(now_s, self._position(now_s))
        self._cancel()

    def dropped(self, start: int, size: int, now_s: float) -> None:
        """Note that so much sound is never sent; what follows moves up to ``start``."""
        self._marks = deque(
            (at if at <= start else max(start, at - size), name) for at, name in self._marks
        )
        self._said = deque(said.without(start, size) for said in self._said)
        self._cancel()
        self.sent(now_s)

    def finished(self, end: int) -> None:
        """Note where all sound ends; what was said to be behind it is heard with the last of it."""
        if end:
            self._marks = deque((min(at, end), name) for at, name in self._marks)
            for said in self._said:
                said.ends_by(end)

    def ended(self, now_s: float, position: int) -> None:
        """Note where the listener stopped for good."""
        self._advance(now_s, position)
        self._heard.extend(said.heard(self._reached) for said in self._said)
        self._marks.clear()
        self._said.clear()
        self._cancel()

    # What was heard

    def passed(self, now_s: float) -> tuple[str, ...]:
        """Return the marks passed, in their order."""
        self._pass_marks(self._position(now_s))
        return tuple(self._passed)

    def heard_text(self, now_s: float) -> str:
        """Return the words that have begun."""
        position = self._position(now_s)
        return "".join([*self._heard, *(said.heard(position) for said in self._said)])

    def _position(self, now_s: float) -> int:
        return max(self._reached, round(self._timeline.position_s(now_s) * self._rate))

    def _advance(self, now_s: float, position: int) -> None:
        """Tell what was heard since the last time."""
        self._reached = max(self._reached, position)
        self._pass_marks(position)
        while self._said and self._said[0].is_over(position):
            self._heard.append(self._said.popleft().heard(position))
        if self._on_progress is not None and position > self._told:
            told_s = self._told / self._rate
            run = Progress(
                self._told * 1000 / self._rate,
                position * 1000 / self._rate,
                self._timeline.begins_at_s(now_s) + told_s,
            )
            self._told = position
            tell(asyncio.get_running_loop(), self._on_progress, run)

    def _pass_marks(self, position: int) -> None:
        while self._marks and self._marks[0][0] <= position and self._timeline.sent_samples:
            _, name = self._marks.popleft()
            self._passed.append(name)
            tell(asyncio.get_running_loop(), self._on_mark, name)

    def _ring(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        self._pass_marks(self._position(now_s))
        self.sent(now_s)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, characters: int) -> None:
        if self._characters + characters > MOST_CHARACTERS:
            raise ValueError(
                f"{self._name}: its marks and words would be more than {MOST_CHARACTERS:,}"
                " characters: begin another turn"
            )
        self._characters += characters
