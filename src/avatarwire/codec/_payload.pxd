# What the frames share about payloads: a stretch of bytes inside a message that is kept whole.

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
)
from libc.string cimport memcmp

from avatarwire.codec._borrow cimport Loan

cdef inline bytes cut(bytes source, Py_ssize_t start, Py_ssize_t length):
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(source) + start, length)

cdef inline object view(bytes source, Py_ssize_t start, Py_ssize_t length):
    return memoryview(source)[start:start + length]

cdef inline bint same(
    bytes left, Py_ssize_t left_start, bytes right, Py_ssize_t right_start, Py_ssize_t length
) noexcept:
    return not memcmp(
        PyBytes_AS_STRING(left) + left_start, PyBytes_AS_STRING(right) + right_start, length
    )

cdef inline int check_size(Loan* loan, Py_ssize_t header, str kind) except -1:
    if loan.size < header:
        raise ValueError(f"{kind} too short: its header alone has {header} bytes, not {loan.size}")
    return 0

cdef inline int check_length(Loan* loan, Py_ssize_t header, Py_ssize_t length, str kind) except -1:
    if loan.size - header < length:
        raise ValueError(
            f"{kind} payload truncated: {loan.size - header} bytes are there, not {length}"
        )
    return 0

cdef inline bytes keep(
    object data, Loan* loan, Py_ssize_t header, Py_ssize_t length, Py_ssize_t* start
):
    # Bytes cannot change, so the message itself is kept; anything else can, and is copied now.
    if PyBytes_CheckExact(data):
        start[0] = header
        return <bytes> data
    start[0] = 0
    return PyBytes_FromStringAndSize(<char*> loan.data + header, length)
