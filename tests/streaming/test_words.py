"""The words beside the sound: where they are, and which have begun."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.streaming.words import Text, Words, checked_text, checked_words, separator


@pytest.mark.parametrize(
    ("position", "heard"),
    [
        (99, ""),
        (100, ""),
        (101, "Hello"),
        (160, "Hello"),  # "there" begins with the seventh of ten characters
        (161, "Hello there"),
        (199, "Hello there"),
        (200, "Hello there"),
        (9999, "Hello there"),
    ],
)
def test_words_are_spread_evenly(position, heard):
    assert Text(100, 210, "Hello there").heard(position) == heard


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello there", ["Hello", "Hello there"]),
        ("  it's  fine. ", ["  it's", "  it's  fine."]),
        ("你好。", ["你", "你好", "你好。"]),
        ("AI说hello吗", ["AI", "AI说", "AI说hello", "AI说hello吗"]),
        ("", []),
        ("  ", []),
    ],
)
def test_what_a_word_is(text, words):
    made = Text(0, 10_000, text)
    heard = list(dict.fromkeys(made.heard(position) for position in range(1, 10_000)))
    assert [each for each in heard if each] == words
    assert made.heard(10_000) == text


def test_a_text_without_sound_is_heard_with_the_next():
    made = Text(100, 100, "Hello")
    assert (made.heard(100), made.is_over(100)) == ("", False)
    assert (made.heard(101), made.is_over(101)) == ("Hello", True)


def test_words_with_times():
    made = Words([(0, "Hello"), (320, " there")])
    assert [made.heard(at) for at in (0, 1, 320, 321)] == ["", "Hello", "Hello", "Hello there"]
    assert [made.is_over(at) for at in (0, 320, 321)] == [False, False, True]


def test_what_is_behind_the_end_is_heard_with_the_last_of_it():
    for made in (Words([(0, "Hello"), (900, " there")]), Text(500, 500, "Hello there")):
        made.ends_by(500)
        assert made.heard(500) == "Hello there"
        assert made.heard(499) != "Hello there"


TEXTS = st.text(alphabet="ab 你。", max_size=30)


@given(TEXTS, st.integers(0, 50), st.integers(0, 200), st.integers(0, 300), st.integers(0, 300))
def test_what_is_left_of_a_text_when_sound_is_dropped(text, start, length, at, size):
    """Each word is where it was, or gone: as if every sample said which words begin in it."""
    made = Text(start, start + length, text)
    begins = [made.heard(place + 1)[len(made.heard(place)) :] for place in range(600)]
    left = begins[:at] + begins[at + size :]
    dropped = made.without(at, size)
    for position in range(0, 600 - size, 7):
        assert dropped.heard(position).strip() == "".join(left[:position]).strip()


@pytest.mark.parametrize(
    ("before", "after", "between"),
    [
        ("", "Hello", ""),
        ("Hello", "there", " "),
        ("Hello", " there", ""),
        ("Hello ", "there", ""),
        ("Hello", ",", ""),
        ("Hello,", "there", " "),
        ("(", "there", ""),
        ("你", "好", ""),
        ("Hello", "", ""),
        ("said", "“Hello", " "),
    ],
)
def test_what_is_between_two_words(before, after, between):
    assert separator(before, after) == between


def test_what_words_are():
    assert checked_words([("Hello", 0), ["there", 320.5]]) == [("Hello", 0.0), ("there", 320.5)]
    assert checked_words([]) == []
    assert checked_text("Hello") == "Hello"


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        ("Hello", TypeError, "a text goes to text="),
        (["Hello"], TypeError, "pairs of a word"),
        ([("Hello",)], TypeError, "pairs of a word"),
        ([(0, "Hello")], TypeError, "not int and str"),
        ([("Hello", "0")], TypeError, "not str and str"),
        ([("Hello", -1)], ValueError, "-1 ms follows 0"),
        ([("Hello", 300), ("there", 200)], ValueError, "200 ms follows 300"),
        ([("Hello", float("nan"))], ValueError, "nan ms follows 0"),
        ([("Hello", float("inf"))], ValueError, "inf ms follows 0"),
    ],
)
def test_what_words_are_not(words, error, text):
    with pytest.raises(error, match=text):
        checked_words(words)


def test_what_text_is_not():
    with pytest.raises(TypeError, match="text must be str, not bytes"):
        checked_text(b"Hello")
