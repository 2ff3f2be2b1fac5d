# How a frame begins (RFC 6455, section 5.2):
#
#   byte        bits  field
#   0           7     FIN: the last frame of its message
#               6-4   reserved, 0
#               3-0   opcode
#   1           7     MASK: 1 on everything from a client, 0 on everything from a server
#               6-0   length up to 125; 126: 16 bits of length follow; 127: 64 bits follow
#   2...              the longer length, if there is one
#   next 4            masking key, from a client
#   then              payload, byte i combined with key byte i modulo 4 by exclusive or
#
# What a client sends here is never fragmented: one frame is one message.

from libc.string cimport memcpy

from avatarwire.rfc6455._copy cimport xor_copy

cdef enum:
    OPCODE_CONTINUATION = 0
    OPCODE_TEXT = 1
    OPCODE_BINARY = 2
    OPCODE_PING = 9
    OPCODE_PONG = 10
    FIN = 0x80
    MASKED = 0x80
    LENGTH_16 = 126
    LENGTH_64 = 127
    CONTROL_MAX = 125
    KEY_SIZE = 4
    SERVER_HEADER_MAX = 10

cdef inline Py_ssize_t client_header_size(Py_ssize_t length) noexcept nogil:
    if length < LENGTH_16:
        return 2 + KEY_SIZE
    return 4 + KEY_SIZE if length <= 0xFFFF else 10 + KEY_SIZE

cdef inline unsigned char* put_client_header(
    unsigned char* p, int opcode, Py_ssize_t length, const unsigned char* key
) noexcept nogil:
    """Write a header at ``p``; return where the payload goes."""
    cdef int i
    p[0] = <unsigned char> (FIN | opcode)
    if length < LENGTH_16:
        p[1] = <unsigned char> (MASKED | length)
        p += 2
    elif length <= 0xFFFF:
        p[1] = MASKED | LENGTH_16
        p[2] = <unsigned char> (length >> 8)
        p[3] = <unsigned char> length
        p += 4
    else:
        p[1] = MASKED | LENGTH_64
        for i in range(8):
            p[2 + i] = <unsigned char> (<unsigned long long> length >> (56 - 8 * i))
        p += 10
    memcpy(p, key, KEY_SIZE)
    return p + KEY_SIZE

cdef inline int server_header_size(const unsigned char* p) noexcept nogil:
    """Return how long a header is, from its first two bytes."""
    if p[1] < LENGTH_16:
        return 2
    return 4 if p[1] == LENGTH_16 else 10

cdef inline unsigned long long server_length(const unsigned char* p) noexcept nogil:
    """Return the length of the payload behind a whole header."""
    cdef unsigned long long length = 0
    cdef int i
    if p[1] < LENGTH_16:
        return p[1]
    for i in range(2, server_header_size(p)):
        length = length << 8 | p[i]
    return length

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
