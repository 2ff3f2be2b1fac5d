import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from avatarwire import _checks as checks

INT, FLOAT = np.int16(3), np.float32(0.5)


@pytest.mark.parametrize(
    ("check", "taken", "refused"),
    [
        (checks.is_whole, [0, -1, 2**70], [True, False, 1.0, "1", None, INT]),
        (checks.is_number, [0, 0.5, math.nan, math.inf], [True, "1", None, INT, Decimal(1)]),
        (checks.is_any_whole, [0, INT, np.uint8(1)], [True, 1.0, FLOAT, "1", None]),
        (checks.is_any_real, [0, 0.5, INT, FLOAT, Fraction(1, 2)], [True, 1j, "1", None]),
        (checks.is_usable_key, ["sk-1", "a b"], ["sk-1\n", " sk-1", "sk-\t1", "sk-\xe4"]),
    ],
)
def test_what_is_taken_and_what_is_refused(check, taken, refused) -> None:
    assert [value for value in taken if not check(value)] == []
    assert [value for value in refused if check(value)] == []


def test_an_integer_of_any_type_becomes_a_plain_one() -> None:
    assert type(checks.whole_number("rate", INT)) is int
    assert checks.whole_number("rate", INT) == 3
    for value in (True, 1.0, "1"):
        with pytest.raises(TypeError, match="rate must be a whole number, not"):
            checks.whole_number("rate", value)
