# cython: freethreading_compatible=True
"""Samples, looked at before they are used: every way in for sound goes through here."""

from cpython.buffer cimport PyBuffer_Release, PyBuffer_ToContiguous
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize

from avatarwire.codec._borrow cimport Loan, give_back
from avatarwire.codec._pcm cimport borrow_pcm, lend_pcm


def pcm_bytes(pcm):
    """Return 16-bit little-endian PCM as bytes.

    Args:
        pcm: Bytes, or any buffer of bytes or of 16-bit little-endian integers. It need not be
            contiguous: one channel of a NumPy array may be cut out of two.

    Returns:
        ``pcm`` itself when it is exactly bytes, else a copy in the order of its indices.

    Raises:
        TypeError: ``pcm`` is no buffer, or one of floats, booleans, big-endian or other integers.
    """
    cdef Py_buffer view
    cdef bytes copy
    if PyBytes_CheckExact(pcm):
        return pcm
    lend_pcm(pcm, &view)
    try:
        copy = PyBytes_FromStringAndSize(NULL, view.len)
        PyBuffer_ToContiguous(PyBytes_AS_STRING(copy), &view, view.len, c"C")
    finally:
        PyBuffer_Release(&view)
    return copy


def pcm_view(pcm):
    """Return 16-bit little-endian PCM as a memoryview of bytes; release it when done.

    Args:
        pcm: Bytes, or any contiguous buffer of bytes or of 16-bit little-endian integers. It is
            read in place.

    Raises:
        TypeError: ``pcm`` is no buffer, or one of floats, booleans, big-endian or other integers.
        ValueError: ``pcm`` is not contiguous.
    """
    cdef Loan loan
    borrow_pcm(pcm, &loan)
    give_back(&loan)
    view = memoryview(pcm)
    if view.format == "B" and view.ndim == 1:
        return view
    if view.nbytes and view.format in ("b", "c", "h", "H"):
        with view:
            return view.cast("B")
    with view:
        # A memoryview casts neither an empty array nor one that names its byte order.
        return memoryview(view.tobytes())
