# cython: freethreading_compatible=True
"""Single WebSocket messages, as a client sends them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from avatarwire.codec._borrow cimport Loan, borrow, give_back
from avatarwire.codec._masks cimport draw
from avatarwire.rfc6455._layout cimport (
    KEY_SIZE,
    OPCODE_BINARY,
    OPCODE_TEXT,
    client_header_size,
    mask_copy,
    put_client_header,
)


def client_message(payload, *, bint text=False):
    """Frame ``payload`` as one masked message, ready to be written to the connection.

    Args:
        payload: The message, in any contiguous buffer; it is read in place, whatever its size.
            A ``str`` has to be encoded first.
        text: Whether this is a text message. Its payload must be UTF-8; that is not checked.

    Returns:
        Header, fresh masking key and masked payload (RFC 6455, section 5.2).

    Raises:
        TypeError: ``payload`` is no buffer.
        ValueError: ``payload`` is not contiguous.
    """
    cdef Loan loan
    cdef bytes message
    cdef unsigned char key[KEY_SIZE]
    cdef unsigned char* p
    cdef int opcode = OPCODE_TEXT if text else OPCODE_BINARY
    borrow(payload, &loan)
    try:
        draw(key, KEY_SIZE)
        message = PyBytes_FromStringAndSize(NULL, client_header_size(loan.size) + loan.size)
        p = put_client_header(<unsigned char*> PyBytes_AS_STRING(message), opcode, loan.size, key)
        mask_copy(p, loan.data, loan.size, key, 0)
    finally:
        give_back(&loan)
    return message
