import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

def begin(work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None] | None: ...
def dismiss_spare() -> None: ...
