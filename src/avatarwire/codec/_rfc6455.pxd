# What a WebSocket client puts around a message (RFC 6455, section 5.2). Messages are never
# fragmented here, so one frame is one message:
#
#   byte        bits  field
#   0           7     FIN, 1
#               6-4   reserved, 0
#               3-0   opcode: 1 text, 2 binary
#   1           7     MASK, 1: everything from a client is masked
#               6-0   length up to 125; 126: 16 bits of length follow; 127: 64 bits follow
#   2...              the longer length, if there is one
#   next 4            masking key
#   then              payload, byte i combined with key byte i modulo 4 by exclusive or

from libc.string cimport memcpy

from avatarwire.codec._bits cimport store16, store64
from avatarwire.codec._copy cimport xor_copy

cdef enum:
    OPCODE_TEXT = 1
    OPCODE_BINARY = 2
    KEY_SIZE = 4

cdef inline Py_ssize_t client_header_size(Py_ssize_t length) noexcept nogil:
    if length < 126:
        return 2 + KEY_SIZE
    return 4 + KEY_SIZE if length <= 0xFFFF else 10 + KEY_SIZE

cdef inline unsigned char* put_client_header(
    unsigned char* p, int opcode, Py_ssize_t length, const unsigned char* key
) noexcept nogil:
    """Write a header at ``p``; return where the payload goes."""
    p[0] = <unsigned char> (0x80 | opcode)
    if length < 126:
        p[1] = <unsigned char> (0x80 | length)
        p += 2
    elif length <= 0xFFFF:
        p[1] = 0x80 | 126
        store16(p + 2, <unsigned int> length)
        p += 4
    else:
        p[1] = 0x80 | 127
        store64(p + 2, <unsigned long long> length)
        p += 10
    memcpy(p, key, KEY_SIZE)
    return p + KEY_SIZE

cdef inline void mask_copy(
    unsigned char* out,
    const unsigned char* source,
    Py_ssize_t size,
    const unsigned char* key,
    Py_ssize_t position,
) noexcept nogil:
    """Copy ``size`` bytes masked; the first of them is byte ``position`` of the message."""
    cdef unsigned char pattern[8]
    cdef Py_ssize_t i
    for i in range(8):
        pattern[i] = key[(position + i) & 3]
    xor_copy(out, source, size, pattern)
