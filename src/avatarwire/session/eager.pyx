# cython: freethreading_compatible=True
"""Coroutines that begin at once, and need a task of their own only when they wait.

asyncio has this from Python 3.12 on, for a task made anew each time. Here a spare task stands by
for each event loop: a coroutine runs as that task up to its first wait, and only one that does wait
keeps it. The current task is switched as asyncio documents it for other implementations of tasks
("Extending": ``_enter_task`` and ``_leave_task``), on each Python alike.
"""

import asyncio
import threading
from asyncio import _enter_task, _leave_task

from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

from avatarwire.session.carrier import Carrier

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object work, object value, PyObject** result) except PYGEN_ERROR
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


class _Spare(threading.local):
    """The spare task of the event loop that runs in this thread."""

    carrier = None


cdef object _here = _Spare()
cdef object _running_loop = asyncio.get_running_loop
cdef object _current_task = asyncio.current_task
cdef object _enter = _enter_task
cdef object _leave = _leave_task
cdef object _Cancelled = asyncio.CancelledError


def begin(work, context):
    """Run a coroutine up to its first wait; return the task that goes on with it then.

    Up to there and beyond, ``asyncio.current_task()`` is that very task, which can be cancelled at
    any time, so that ``asyncio.timeout()`` and what else needs a task works from the first line on.
    What the coroutine raises is raised here if it has not waited, except that it was cancelled.

    Args:
        work: what to run. Another one that ends without waiting may see the same task.
        context: what it runs in, from its first line to its last; not that of a running call.

    Returns:
        None when it has ended.
    """
    cdef object loop = _running_loop()
    cdef object task
    cdef object outer = None
    cdef PyObject* waits_for = NULL
    cdef bint has_ended = False
    # Taken, so that what begins meanwhile has one of its own.
    cdef object carrier = _here.carrier
    if carrier is None or not carrier.stands_by(loop):
        carrier = Carrier(loop)
    _here.carrier = None
    task = carrier.task
    try:
        _enter(loop, task)
    except RuntimeError:  # inside of another one, which is put aside; from a socket it is not
        outer = _current_task(loop)
        _leave(loop, outer)
        _enter(loop, task)
    try:
        PyContext_Enter(context)
        try:
            has_ended = PyIter_Send(work, None, &waits_for) == PYGEN_RETURN
        finally:
            PyContext_Exit(context)
    except _Cancelled:
        has_ended = True
    finally:
        _leave(loop, task)
        if outer is not None:
            _enter(loop, outer)
    if has_ended:
        Py_XDECREF(waits_for)
        _here.carrier = carrier
        return None
    carrier.take_over(work, <object> waits_for, context)
    Py_XDECREF(waits_for)
    return task


def dismiss_spare():
    """End the spare task of the running event loop, in its next turn."""
    carrier, _here.carrier = _here.carrier, None
    if carrier is not None:
        carrier.dismiss()
