# Memory borrowed from any contiguous buffer, and given back. A loan lasts as long as its pointer
# is used: every `borrow` and `borrow_writable` is followed by try ... finally `give_back`.

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)

cdef struct Loan:
    unsigned char* data
    Py_ssize_t size
    bint held
    Py_buffer view

cdef inline int borrow(object source, Loan* loan) except -1:
    if PyBytes_CheckExact(source):
        # Nothing can change or move it while the caller's argument keeps it alive.
        loan.data = <unsigned char*> PyBytes_AS_STRING(source)
        loan.size = PyBytes_GET_SIZE(source)
        loan.held = False
        return 0
    try:
        PyObject_GetBuffer(source, &loan.view, PyBUF_SIMPLE)
    except BufferError as error:
        raise ValueError(f"the buffer must be contiguous ({error})") from error
    return lent(loan)

cdef inline int borrow_writable(object target, Loan* loan) except -1:
    try:
        PyObject_GetBuffer(target, &loan.view, PyBUF_WRITABLE)
    except BufferError as error:
        raise TypeError(f"the buffer must be writable and contiguous ({error})") from error
    return lent(loan)

cdef inline int lent(Loan* loan) noexcept:
    """Fill in a loan whose view has been taken."""
    loan.data = <unsigned char*> loan.view.buf
    loan.size = loan.view.len
    loan.held = True
    return 0

cdef inline void give_back(Loan* loan) noexcept:
    if loan.held:
        PyBuffer_Release(&loan.view)

cdef inline bytes as_bytes(object source):
    """Return ``source`` itself when it is exactly bytes, else a copy of its buffer."""
    cdef Loan loan
    if PyBytes_CheckExact(source):
        return <bytes> source
    borrow(source, &loan)
    return copied(&loan)

cdef inline bytes copied(Loan* loan):
    """Return a copy of what was borrowed, which is given back."""
    try:
        return PyBytes_FromStringAndSize(<char*> loan.data, loan.size)
    finally:
        give_back(loan)
