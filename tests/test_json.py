"""JSON by either library: what one takes or refuses, the other does too."""

import collections
import enum
import importlib.util
import json
import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire import _json, _standard_json

BRANCHES = [_standard_json]
if importlib.util.find_spec("orjson"):
    import orjson

    BRANCHES.append(orjson)
Word = enum.Enum("Word", {"A": "a"}, type=str)
Number = enum.IntEnum("Number", {"ONE": 1})
Plain = enum.Enum("Plain", {"LIST": [1]})
Text = type("Text", (str,), {})
Count = type("Count", (int,), {})
Float = type("Float", (float,), {})


class Pair(NamedTuple):
    left: int
    right: int


either = pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.__name__)


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nested_objects(depth):
    value = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_the_branch_in_use_is_one_of_them():
    assert _json._library in BRANCHES


@pytest.mark.parametrize("text", ['{"a": [1]}', "", '"\ufeff"'])
def test_a_byte_order_mark_is_passed_over_once(text):
    for message in (text, text.encode(), bytearray(text, "utf-8")):
        mark = "\ufeff" if isinstance(message, str) else "\ufeff".encode()
        try:
            expected = _json._library.loads(message)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                _json.loads(mark + message)
        else:
            assert _json.loads(message) == _json.loads(mark + message) == expected
        with pytest.raises(ValueError, match=r"."):
            _json.loads(mark + mark + message)


@pytest.fixture(params=BRANCHES, ids=lambda branch: branch.__name__)
def on(request, monkeypatch):
    """Give ``_json`` on either branch."""
    monkeypatch.setattr(_json, "_library", request.param)
    return _json


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("\ud83d", "\ufffd"),
        ("\udc4d\ud83d", "\ufffd\ufffd"),
        ("a\ud83d\udc4db", "a👍b"),
        ("\ud83d\ud83d\udc4d\udc4d", "\ufffd👍\ufffd"),
        ("é\ud800€", "é\ufffd€"),
        ("\\ud83d \\\\ud83d", "\\ud83d \\\\ud83d"),
    ],
)
def test_halves_of_a_character_are_joined_or_replaced(on, text, mended):
    for value, wanted in (
        (text, mended),
        ({text: [text, {"a": (1, text)}]}, {mended: [mended, {"a": [1, mended]}]}),
    ):
        written = on.dumps(value)
        assert json.loads(written) == wanted
        escaped = json.dumps(value)  # the halves as escapes, as a browser sends them
        raw = json.dumps(value, ensure_ascii=False)
        for message in (escaped, escaped.encode(), bytearray(escaped.encode()), raw):
            assert on.loads(message) == wanted
        assert on.loads(memoryview(escaped.upper().replace("\\U", "\\u").encode())) is not None


def test_nothing_is_changed_where_nothing_is_to_mend(on):
    value = {"a": ["\ud800"], "b": [1, "x"], "c": {"d": "e"}}
    on.dumps(value)
    assert value == {"a": ["\ud800"], "b": [1, "x"], "c": {"d": "e"}}


@pytest.mark.parametrize(
    "value",
    [{"a": ["\ud800", object()]}, {1: "\ud800"}, ["\ud800", nested(300)], {"\ud800": 2**64}],
)
def test_mending_makes_no_json_of_what_is_none(on, value):
    with pytest.raises(TypeError):
        on.dumps(value)


def test_what_holds_itself_twice_is_an_error_in_time(on):
    twice = ["\ud800"]
    twice += [twice, twice, {"a": twice}]
    with pytest.raises(TypeError):
        on.dumps(twice)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "x must be finite, not nan"),
        ({"a": (1, -math.inf)}, r"x\['a'\]\[1\] must be finite, not -inf"),
        (2**64, "x must be within 64 bits, not an integer of 65 bits"),
        ([{"n": -(2**63) - 1}], r"x\[0\]\['n'\] must be within 64 bits"),
        (10**400, "not an integer of 1329 bits"),
        (Count(2**70), "of 71 bits"),
        (nested(251), "x has more than 250 levels, or holds itself"),
        (nested_objects(5000), "x has more than 250 levels"),
    ],
)
def test_what_json_cannot_carry_is_named(value, words):
    with pytest.raises(ValueError, match=words):
        _json.require_writable("x", value)


@pytest.mark.parametrize(
    "value", [2**64 - 1, -(2**63), nested(250), {"a": [1.5, True, None, "x"]}, {1}, object()]
)
def test_what_json_can_carry_or_has_no_type_for_is_let_through(value):
    _json.require_writable("x", value)


@pytest.mark.parametrize(
    "message", ['{"a": "\\ud800"', "\ud800", '"\\ud800" x', b'"\xff\\ud800"', b'"\xed\xa0\x80"']
)
def test_mending_makes_no_json_of_what_is_broken_otherwise(on, message):
    with pytest.raises(ValueError, match=r".+"):
        on.loads(message)


@given(text=st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud83d\udc4d\\u")))
def test_any_text_comes_through_as_unicode(text):
    wanted = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(_json.dumps([text])) == [wanted]
    assert _json.loads(json.dumps([text])) == [wanted]


@either
@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, 2.5, "é\u2028", True, None]}, '{"a":[1,2.5,"é\u2028",true,null]}'),
        ('"\\\b\x00\x1f\x7f/', '"\\"\\\\\\b\\u0000\\u001f\x7f/"'),
        ((1, ()), "[1,[]]"),
        (-(2**63), "-9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        ([math.nan, math.inf, -math.inf], "[null,null,null]"),
        ([Word.A, Number.ONE, Plain.LIST, Text("x"), Count(3)], '["a",1,[1],"x",3]'),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (nested(254), "[" * 254 + "]" * 254),
        (nested_objects(254), '{"a":' * 253 + "{}" + "}" * 253),
    ],
)
def test_what_is_written(branch, value, written):
    assert branch.dumps(value) == written.encode()


CIRCLE = []
CIRCLE.append(CIRCLE)


@either
@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        {"\udfff": 1},
        {1: 1},
        {True: 1},
        {Word.A: 1},
        {Text("k"): 1},
        2**64,
        -(2**63) - 1,
        10**5000,
        Count(2**64),
        b"bytes",
        bytearray(b"bytes"),
        {1, 2},
        object(),
        Float(1.5),
        Pair(1, 2),
        {"a": [1, {"b": b""}]},
        CIRCLE,
        nested(255),
        nested_objects(255),
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_json_form_is_a_type_error(branch, value):
    with pytest.raises(TypeError):
        branch.dumps(value)


@either
@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a": [1, -2.5e1, "\\u00e9", true, false, null]}\r\n\t', None),
        ('{"a": 1, "a": 2}', None),
        ('"\\ud83d\\ude00"', None),
        ('"\\\\ud800"', None),
        ('"\x7f\u2028\\u0000"', None),
        ("-9223372036854775808", None),
        ("18446744073709551615", None),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ("1" * 300, float("1" * 300)),
        ("1e-400", 0.0),
        ("-0", 0),
        ("1.7976931348623158e308", None),
        ("[" + "[]," * 2000 + "{}]", None),
        ('["' + "[" * 2000 + '"]', None),
    ],
)
def test_what_is_read(branch, text, value):
    value = json.loads(text) if value is None else value
    for message in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        read = branch.loads(message)
        assert read == value
        assert type(read) is type(value)


@either
@pytest.mark.parametrize("depth", [900, 1024])
def test_deep_nesting_is_read_as_far_as_the_interpreter_goes(branch, depth):
    try:
        read = branch.loads("[" * depth + "]" * depth)
    except ValueError:
        # The standard library's parser takes from the interpreter's own recursion limit.
        assert branch is _standard_json
        return
    for _ in range(depth):
        (read,) = read or [None]
    assert read is None


@either
@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1" * 400,
        "1" * 5000,
        "-" + "1" * 5000,
        "1e400",
        "-1e400",
        "1.7976931348623159e308",
        '"\ud800"',
        '{"\ud800": 1}',
        '"\\ud800"',
        '{"\\uDFFF": 1}',
        '"\\udc00\\ud800"',
        '["\\ud83d\\ude00\\ud83d"]',
        "[" * 1025 + "]" * 1025,
        '{"a":' * 1024 + "{}" + "}" * 1024,
        "[" * 5000 + "]" * 5000,
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 200_000,
        "\ufeff1",
        "\u00a01",
        '"\t"',
        '"\\x"',
        "[1,]",
        "{'a': 1}",
        "01",
        "1 2",
        "nan",
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_what_is_no_json_is_a_value_error(branch, text):
    with pytest.raises(ValueError, match=r".+"):
        branch.loads(text)
    with pytest.raises(ValueError, match=r".+"):
        branch.loads(text.encode("utf-8", "surrogatepass"))


@either
@pytest.mark.parametrize(
    "message", [b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", '"1"'.encode("utf-16"), b"[\x00"]
)
def test_bytes_that_are_not_utf_8_are_a_value_error(branch, message):
    with pytest.raises(ValueError, match=r".+"):
        branch.loads(message)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    # Not where the two spell an exponent in their own ways.
    | st.floats(1e-4, 1e15),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=VALUES)
def test_the_two_write_the_same_bytes(value):
    written = _standard_json.dumps(value)
    assert written == _json.dumps(value)
    assert _standard_json.loads(written) == _json.loads(written) == value


TOKENS = st.sampled_from('[]{},: "a\\u-09.eé\x00\ud800') | st.sampled_from(
    ['"a"', '"a":', "null", "true", "NaN", "\\ud800", "\\udc00", "d8", "00", "dc"]
)


def outcome(branch, message):
    try:
        return repr(branch.loads(message))
    except ValueError:
        return ValueError


@given(text=st.lists(TOKENS, max_size=12).map("".join))
def test_the_two_read_the_same(text):
    assert outcome(_standard_json, text) == outcome(_json._library, text)
    message = text.encode("utf-8", "surrogatepass")
    assert outcome(_standard_json, message) == outcome(_json._library, message)
