# cython: freethreading_compatible=True
"""The calls of one callback, one after the other."""

from contextvars import ContextVar
from inspect import isawaitable
from types import CoroutineType

#: The callback that runs; tasks that a callback starts inherit it.
RUNNING = ContextVar("avatarwire callback", default=None)

cdef object _set_running = RUNNING.set
cdef object _CoroutineType = CoroutineType


async def call_each(running, callback, calls, fail):
    """Call a callback with each of some arguments, and wait for what it returns.

    Args:
        running: what stands for the calls, here and in what they start.
        callback: what to call, sync or async.
        calls: the arguments of each call; the next one is made when the one before has ended.
        fail: told of what a call has raised; the next one is made all the same.
    """
    cdef tuple args
    _set_running(running)
    for args in calls:
        try:
            result = callback(*args)
            # What nearly every callback returns comes first: anything else takes long to tell.
            if type(result) is _CoroutineType or (result is not None and isawaitable(result)):
                await result
        except Exception as exc:
            fail(running, exc)
