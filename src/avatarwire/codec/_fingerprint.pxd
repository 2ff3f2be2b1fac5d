# A number that tells one sound from another: 64 bits, for comparing, not for keeping secrets. It
# depends on the byte order of the machine and never leaves the process.

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef inline uint64_t fingerprint(const unsigned char* p, Py_ssize_t size) noexcept nogil:
    # Four lanes, since each multiplication waits for the one before it in its lane.
    cdef uint64_t[4] lanes
    cdef uint64_t word
    cdef Py_ssize_t i = 0
    cdef int k
    for k in range(4):
        lanes[k] = <uint64_t> size + k
    while size - i >= 32:
        for k in range(4):
            memcpy(&word, p + i + 8 * k, 8)
            lanes[k] = mixed(lanes[k], word)
        i += 32
    while i < size:
        lanes[0] = mixed(lanes[0], p[i])
        i += 1
    return mixed(mixed(lanes[0], lanes[1]), mixed(lanes[2], lanes[3]))

cdef inline uint64_t mixed(uint64_t lane, uint64_t word) noexcept nogil:
    lane = (lane ^ word) * <uint64_t> 0x9E3779B97F4A7C15
    return lane ^ lane >> 32
