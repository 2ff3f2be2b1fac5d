# cython: freethreading_compatible=True
"""Masking keys from the operating system's entropy, drawn in blocks.

A key has to be unpredictable (RFC 6455, section 10.3), and asking the system for four bytes at
a time costs more than framing a message does.
"""

import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy


cdef bytes _fresh_block():
    return os.urandom(4096)


@cython.final
cdef class _Pool:
    cdef bytes block
    cdef Py_ssize_t used

    def __cinit__(self):
        self.block = b""

    @cython.critical_section
    cdef int take(self, unsigned char* out, Py_ssize_t size) except -1:
        cdef Py_ssize_t part
        cdef bytes block
        while size > 0:
            if self.used == PyBytes_GET_SIZE(self.block):
                # Another thread can run during the call. That is harmless: both blocks are
                # fresh, and nothing can run between a copy and the count of what is used.
                block = _fresh_block()
                self.block = block
                self.used = 0
            part = min(size, PyBytes_GET_SIZE(self.block) - self.used)
            memcpy(out, PyBytes_AS_STRING(self.block) + self.used, part)
            self.used += part
            out += part
            size -= part
        return 0

    @cython.critical_section
    cdef int empty(self) except -1:
        self.block = b""
        self.used = 0
        return 0


cdef _Pool _pool = _Pool()


cdef int draw(unsigned char* out, Py_ssize_t size) except -1:
    return _pool.take(out, size)


def discard():
    """Throw the drawn bytes away; the next key comes from a fresh block."""
    _pool.empty()


if hasattr(os, "register_at_fork"):
    # A child that went on with its parent's block would mask with its parent's keys.
    os.register_at_fork(after_in_child=discard)
