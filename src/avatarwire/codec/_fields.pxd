# Python integers taken into header fields: whole numbers only, refused or wrapped by width.

from cpython.long cimport (
    PyLong_AsLongLongAndOverflow,
    PyLong_AsUnsignedLongLong,
    PyLong_AsUnsignedLongLongMask,
    PyLong_Check,
)
from cpython.number cimport PyIndex_Check

cdef extern from "Python.h":
    object PyNumber_Index(object)

cdef inline object whole(object value, str field):
    """Return ``value`` as an int."""
    if not PyIndex_Check(value):
        raise TypeError(f"{field} must be an int, not {type(value).__name__}")
    return PyNumber_Index(value)

cdef inline int refuse(object value, object low, object high, str field) except -1:
    # Thousands of digits help nobody, and Python refuses to print them.
    shown = value if value.bit_length() <= 64 else f"an integer of {value.bit_length()} bits"
    raise ValueError(f"{field} must be from {low} to {high}, not {shown}")

cdef inline long long fit(object value, long long low, long long high, str field) except? -1:
    """Return ``value`` when it lies within ``low`` and ``high``, both included."""
    cdef int overflow = 0
    cdef long long number
    if not PyLong_Check(value):
        value = whole(value, field)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or number < low or number > high:
        refuse(int(value), low, high, field)
    return number

cdef inline int wrap(object value, int mask, str field) except -1:
    """Return the low bits of ``value``: any integer, taken modulo ``mask + 1``."""
    if not PyLong_Check(value):
        value = whole(value, field)
    return <int> (PyLong_AsUnsignedLongLongMask(value) & <unsigned long long> mask)

cdef inline unsigned long long fit_unsigned(
    object value, unsigned long long low, str field
) except? 0xFFFFFFFFFFFFFFFF:
    """Return ``value`` when it is at least ``low`` and fits 64 bits."""
    value = whole(value, field)
    if value < low or value > 0xFFFFFFFFFFFFFFFF:
        refuse(value, low, 0xFFFFFFFFFFFFFFFF, field)
    return PyLong_AsUnsignedLongLong(value)
