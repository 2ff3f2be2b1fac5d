import inspect

import pytest

from avatarwire import transport
from avatarwire.transport import Connection, MemoryConnection, WebSocketConnection


@pytest.mark.parametrize("implementation", [MemoryConnection, WebSocketConnection])
def test_implementations_have_the_calls_of_the_port(implementation):
    for name, member in vars(Connection).items():
        if name.startswith("_"):
            continue
        ours = inspect.getattr_static(implementation, name)
        assert type(ours) is type(member)
        if inspect.isfunction(member):
            assert inspect.signature(ours) == inspect.signature(member)
            assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(member)


def test_the_face_is_what_it_says():
    assert sorted(transport.__all__) == transport.__all__
    assert all(hasattr(transport, name) for name in transport.__all__)
