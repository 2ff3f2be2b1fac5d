"""The words of a turn beside its sound: which of them have begun when it has come so far.

Places are samples of the turn's sound, from its first one. A word counts from where it begins.
"""

import functools
import math
import re
from collections.abc import Iterable

from avatarwire._checks import is_any_real

__all__ = ["Spoken", "Text", "Words", "checked_text", "checked_words", "separator"]

#: Characters of scripts that put no space between words; each stands for a word.
_UNSPACED = "\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef"
_WORD = rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+"
#: Between what ends or begins like this no space is needed.
_NO_SPACE_AFTER = rf"[\s{_UNSPACED}([{{'\"\u2018\u201c-]\Z"
_NO_SPACE_BEFORE = rf"[\s{_UNSPACED}.,;:!?)\]}}'\"\u2019\u201d%-]"
#: They are compiled for the first words: that takes longer than the rest of the import.
_compiled = functools.cache(re.compile)


class Text:
    """Words without times: they are spread evenly, by their characters, over a piece of sound.

    Args:
        start: where the piece begins.
        end: where it ends.
        text: what is said in it.
    """

    __slots__ = ("_end", "_start", "_text")

    def __init__(self, start: int, end: int, text: str) -> None:
        self._start = start
        self._end = end
        self._text = text

    def heard(self, position: int) -> str:
        """Return the words that have begun before ``position``."""
        return self._text[: self._count(position)]

    def is_over(self, position: int) -> bool:
        """Return whether no more is to come."""
        return position >= self._end and position > self._start

    def without(self, start: int, size: int) -> "Spoken":
        """Return what is left when so much of the sound is dropped, from ``start`` on."""
        if self._start < start and self._end <= start:
            return self
        if self._start >= start + size:
            return Text(self._start - size, self._end - size, self._text)
        return Words(self._places()).without(start, size)

    def ends_by(self, end: int) -> None:
        """Move what is beyond the end of all sound to the last of it."""
        self._end = min(self._end, end)
        self._start = min(self._start, end - 1)

    def _count(self, position: int) -> int:
        """Return how many characters there are up to the end of the last word that has begun."""
        if position <= self._start:
            return 0
        if position >= self._end:
            return len(self._text)
        count = 0
        for word in _compiled(_WORD).finditer(self._text):
            if self._place(word) >= position:
                break
            count = word.end()
        return count

    def _place(self, word: re.Match[str]) -> int:
        """Return where a word begins."""
        return self._start + word.start() * (self._end - self._start) // len(self._text)

    def _places(self) -> list[tuple[int, str]]:
        """Return its words, each with what is before it; what follows the last belongs to that."""
        places, end = [], 0
        for word in _compiled(_WORD).finditer(self._text):
            places.append((self._place(word), self._text[end : word.end()]))
            end = word.end()
        if places:
            places[-1] = (places[-1][0], places[-1][1] + self._text[end:])
        return places


class Words:
    """Words that each begin at a time of their own.

    Args:
        words: each with the place where it begins; what is between two words belongs to the
            second one.
    """

    __slots__ = ("_words",)

    def __init__(self, words: list[tuple[int, str]]) -> None:
        self._words = words

    def heard(self, position: int) -> str:
        """Return the words that have begun before ``position``."""
        return "".join([word for at, word in self._words if at < position])

    def is_over(self, position: int) -> bool:
        """Return whether no more is to come."""
        return not self._words or self._words[-1][0] < position

    def without(self, start: int, size: int) -> "Spoken":
        """Return what is left when so much of the sound is dropped, from ``start`` on."""
        return Words(
            [
                (at if at < start else at - size, word)
                for at, word in self._words
                if not start <= at < start + size
            ]
        )

    def ends_by(self, end: int) -> None:
        """Move what is beyond the end of all sound to the last of it."""
        self._words = [(min(at, end - 1), word) for at, word in self._words]


Spoken = Text | Words


def checked_text(text: object) -> str:
    """Return ``text``, or raise TypeError when it is none."""
    if not isinstance(text, str):
        raise TypeError(f"text must be str, not {type(text).__name__}")
    return text


def checked_words(words: Iterable[object]) -> list[tuple[str, float]]:
    """Return words and times as they are kept.

    Raises:
        TypeError: they are no pairs of a text and a number.
        ValueError: a time is negative, not finite, or before that of the word before it.
    """
    if isinstance(words, str):
        raise TypeError("words must be pairs of a word and its milliseconds; a text goes to text=")
    checked: list[tuple[str, float]] = []
    before_ms = 0.0
    for pair in words:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError("words must be pairs of a word and its milliseconds")
        word, at_ms = pair
        if not isinstance(word, str) or not is_any_real(at_ms):
            raise TypeError(
                "words must be pairs of a word and its milliseconds, not"
                f" {type(word).__name__} and {type(at_ms).__name__}"
            )
        plain_ms = float(at_ms)
        if not before_ms <= plain_ms < math.inf:  # also refuses NaN
            raise ValueError(
                f"words must begin one after the other, from 0 ms on: {plain_ms:g} ms follows"
                f" {before_ms:g}"
            )
        before_ms = plain_ms
        checked.append((word, plain_ms))
    return checked


def separator(before: str, after: str) -> str:
    """Return what stands between two words that were given without: a space, or nothing."""
    is_joined = (
        not before
        or not after
        or _compiled(_NO_SPACE_AFTER).search(before) is not None
        or _compiled(_NO_SPACE_BEFORE).match(after) is not None
    )
    return "" if is_joined else " "
