from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

_RunningT = TypeVar("_RunningT")

RUNNING: Final[ContextVar[Any]]

async def call_each(
    running: _RunningT,
    callback: Callable[..., object],
    calls: Iterable[tuple[object, ...]],
    fail: Callable[[_RunningT, Exception], object],
) -> None: ...
