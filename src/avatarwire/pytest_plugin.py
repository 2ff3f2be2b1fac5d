"""Fixtures for pytest: a platform on this machine, fresh for each test that asks for one.

pytest finds this plugin by itself wherever avatarwire is installed. The fixtures need the extra
``emulator``, and a plugin that runs asynchronous tests: pytest-asyncio, in either mode, or anyio.

- ``liveavatar_emulator``: a ``LiveAvatarEmulator`` that runs and accepts any key. Its user says
  nothing until the test calls ``sessions[0].send_text()``.
- ``akool_emulator``: an ``AkoolEmulator`` that runs and accepts any key.

A test of an agent that greets whoever comes::

    async def test_my_agent_greets(liveavatar_emulator):
        config = AvatarAgentConfig("any", "avatar-1", base_url=liveavatar_emulator.base_url)
        async with AvatarAgent(config, MyListener()):
            session = liveavatar_emulator.sessions[0]
            event = await session.wait_for("response.chunk")
        assert event["data"]["text"] == "Welcome!"

A platform with other settings is an ``async with LiveAvatarEmulator(...)`` in the test itself. The
fixtures run in the event loop of function-scoped fixtures; with pytest-asyncio, tests that share
the loop of a module or session need ``asyncio_default_fixture_loop_scope`` to say the same.

A run that uses none of the fixtures loads nothing but this file.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

__all__ = ["akool_emulator", "liveavatar_emulator"]


def _async_fixture(function: "Callable[[], AsyncIterator[object]]") -> object:
    # In pytest-asyncio's strict mode its own decorator is what tells it which fixtures to run.
    try:
        import pytest_asyncio  # noqa: PLC0415 - not everybody's
    except ModuleNotFoundError:
        return pytest.fixture(function)
    return pytest_asyncio.fixture(function)


@_async_fixture
async def liveavatar_emulator() -> "AsyncIterator[LiveAvatarEmulator]":
    """A Live Avatar platform on this machine.

    Raises:
        MissingExtraError: the extra ``emulator`` is not installed.
    """
    from avatarwire.emulator import LiveAvatarEmulator  # noqa: PLC0415 - heavy, and an extra

    async with LiveAvatarEmulator(greeting=None) as emulator:
        yield emulator


@_async_fixture
async def akool_emulator() -> "AsyncIterator[AkoolEmulator]":
    """An Akool platform on this machine.

    Raises:
        MissingExtraError: the extra ``emulator`` is not installed.
    """
    from avatarwire.emulator import AkoolEmulator  # noqa: PLC0415 - heavy, and an extra

    async with AkoolEmulator() as emulator:
        yield emulator
