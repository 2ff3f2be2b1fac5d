# What counts as 16-bit little-endian samples: the one rule, for every way in.

from cpython.buffer cimport (
    PyBUF_FULL_RO,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_CheckExact

from avatarwire.codec._borrow cimport Loan, borrow, copied, lent

cdef extern from "Python.h":
    bint PY_BIG_ENDIAN

cdef inline int check_items(const Py_buffer* view) except -1:
    """Refuse items that are neither bytes nor 16-bit little-endian integers."""
    cdef const char* kind = view.format
    cdef char order = c"@"
    if kind == NULL:
        return 0  # then they are bytes
    if kind[0] in (c"@", c"=", c"<", c">", c"!"):
        order = kind[0]
        kind += 1
    if kind[0] and not kind[1]:
        if kind[0] in (c"B", c"b", c"c"):
            return 0
        if kind[0] in (c"h", c"H"):
            if order == c"<" or not (PY_BIG_ENDIAN or order in (c">", c"!")):
                return 0
            raise TypeError(
                "pcm must be 16-bit little-endian integers, not"
                f" {_named(view, 'big-endian ones')}: swap their bytes first"
            )
        if kind[0] in (c"e", c"f", c"d", c"g"):
            raise TypeError(
                f"pcm must be 16-bit integers, not {_named(view, 'floats')}: "
                "scale floats to ±32767 and convert first"
            )
        if kind[0] in (c"i", c"I", c"l", c"L", c"q", c"Q", c"n", c"N"):
            raise TypeError(
                "pcm must be 16-bit integers, not"
                f" {_named(view, f'{8 * view.itemsize}-bit ones')}: scale and convert them first"
            )
        if kind[0] == c"?":
            raise TypeError(
                f"pcm must be 16-bit integers, not {_named(view, 'booleans')}: it may be a mask"
            )
    raise TypeError(f"pcm must be bytes or 16-bit integers, not {_named(view, 'others')}")

cdef inline str _named(const Py_buffer* view, str what):
    return f'{what} ("{(<bytes> view.format).decode("utf-8", "replace")}" items)'

cdef inline int lend_pcm(object source, Py_buffer* view) except -1:
    """Borrow samples that may lie apart from each other; PyBuffer_Release gives them back."""
    if not PyObject_CheckBuffer(source):
        raise TypeError(
            f"pcm must be a bytes-like buffer of 16-bit samples, not {type(source).__name__}"
        )
    try:
        PyObject_GetBuffer(source, view, PyBUF_FULL_RO)
    except (BufferError, ValueError) as error:
        # NumPy cannot lend dates; a released memoryview has nothing left to lend.
        raise TypeError(f"pcm cannot be read as 16-bit samples: {error}") from error
    try:
        check_items(view)
    except BaseException:
        PyBuffer_Release(view)
        raise
    return 0

cdef inline int borrow_pcm(object source, Loan* loan) except -1:
    """Borrow samples to read in place; `give_back` follows, as after `borrow`."""
    if PyBytes_CheckExact(source):
        return borrow(source, loan)
    lend_pcm(source, &loan.view)
    if not PyBuffer_IsContiguous(&loan.view, c"C"):
        PyBuffer_Release(&loan.view)
        raise ValueError("pcm must be contiguous, each sample behind the last: make a copy first")
    return lent(loan)

cdef inline bytes as_pcm(object source):
    """Return samples as bytes: `source` itself when it is exactly that, else a copy."""
    cdef Loan loan
    if PyBytes_CheckExact(source):
        return <bytes> source
    borrow_pcm(source, &loan)
    return copied(&loan)
