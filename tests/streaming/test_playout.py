"""How a turn ended."""

import pytest

from avatarwire.streaming import Playout


def test_playout_is_frozen():
    with pytest.raises(AttributeError):
        Playout("completed", 1, 1, 0, 1).reason = "lost"
