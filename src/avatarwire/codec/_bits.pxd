# The three header layouts, each written once: a table, and beside it the pair that packs and
# unpacks it. Everything is in network byte order and stored byte by byte, so that nothing is
# ever misaligned; compilers fuse the stores.

# The audio header (protocol section 5).
#
#   byte  bits  field
#   0     7-6   type, 01
#         5     channel
#         4     key
#         3-0   seq, bits 11-8
#   1     7-0   seq, bits 7-0
#   2     7-0   timestamp, bits 19-12
#   3     7-0   timestamp, bits 11-4
#   4     7-4   timestamp, bits 3-0
#         3-2   sample_rate
#         1-0   samples, bits 11-10
#   5     7-0   samples, bits 9-2
#   6     7-6   samples, bits 1-0
#         5-4   codec
#         3-0   reserved, 0
#   7-8         length of the payload in bytes
cdef enum:
    AUDIO_TYPE = 1
    AUDIO_HEADER = 9
    AUDIO_PAYLOAD_MAX = 0xFFFF
    SEQ_MASK = 0xFFF
    TIMESTAMP_MASK = 0xFFFFF
    SAMPLES_MAX = 0xFFF

cdef struct AudioHeader:
    int channel
    int key
    int seq
    int timestamp
    int sample_rate
    int samples
    int codec
    Py_ssize_t length

cdef inline void pack_audio(unsigned char* p, const AudioHeader* h) noexcept nogil:
    # In one word first: a store through a char pointer could change what `h` shows, and would
    # have the compiler load every field anew and leave the stores apart.
    cdef unsigned long long word = (
        <unsigned long long> (AUDIO_TYPE << 18 | h.channel << 17 | h.key << 16 | h.seq << 4) << 44
        | <unsigned long long> h.timestamp << 28
        | <unsigned long long> (h.sample_rate << 26 | h.samples << 14 | h.codec << 12)
        | <unsigned long long> (h.length >> 8)
    )
    cdef unsigned char last = <unsigned char> h.length
    store64(p, word)
    p[8] = last

cdef inline void unpack_audio(const unsigned char* p, AudioHeader* h) noexcept nogil:
    h.channel = p[0] >> 5 & 1
    h.key = p[0] >> 4 & 1
    h.seq = (p[0] & 0xF) << 8 | p[1]
    h.timestamp = p[2] << 12 | p[3] << 4 | p[4] >> 4
    h.sample_rate = p[4] >> 2 & 3
    h.samples = (p[4] & 3) << 10 | p[5] << 2 | p[6] >> 6
    h.codec = p[6] >> 4 & 3
    h.length = p[7] << 8 | p[8]


# The image header (protocol section 6).
#
#   byte   bits  field
#   0      7-6   type, 10
#          5-4   version, 0
#          3-0   format
#   1            quality
#   2-3          image_id
#   4-5          width
#   6-7          height
#   8-11         length of the payload in bytes
cdef enum:
    IMAGE_TYPE = 2
    IMAGE_HEADER = 12

cdef struct ImageHeader:
    int format
    int quality
    int image_id
    int width
    int height
    Py_ssize_t length

cdef inline void pack_image(unsigned char* p, const ImageHeader* h) noexcept nogil:
    p[0] = <unsigned char> (IMAGE_TYPE << 6 | h.format)
    p[1] = <unsigned char> h.quality
    store16(p + 2, h.image_id)
    store16(p + 4, h.width)
    store16(p + 6, h.height)
    store32(p + 8, <unsigned int> h.length)

cdef inline void unpack_image(const unsigned char* p, ImageHeader* h) noexcept nogil:
    h.format = p[0] & 0xF
    h.quality = p[1]
    h.image_id = p[2] << 8 | p[3]
    h.width = p[4] << 8 | p[5]
    h.height = p[6] << 8 | p[7]
    h.length = <Py_ssize_t> load32(p + 8)


# The external audio header (protocol section 7).
#
#   byte   field
#   0-3    "EXAU"
#   4      version, 1
#   5-12   sequence, from 1
#   13-20  timestamp_us, signed
#   21-24  length of the payload in bytes
cdef enum:
    EXTERNAL_HEADER = 25

cdef struct ExternalHeader:
    unsigned long long sequence
    long long timestamp_us
    Py_ssize_t length

cdef inline bint is_external(const unsigned char* p) noexcept nogil:
    return p[0] == c"E" and p[1] == c"X" and p[2] == c"A" and p[3] == c"U" and p[4] == 1

cdef inline void pack_external(unsigned char* p, const ExternalHeader* h) noexcept nogil:
    p[0] = c"E"
    p[1] = c"X"
    p[2] = c"A"
    p[3] = c"U"
    p[4] = 1
    store64(p + 5, h.sequence)
    store64(p + 13, <unsigned long long> h.timestamp_us)
    store32(p + 21, <unsigned int> h.length)

cdef inline void unpack_external(const unsigned char* p, ExternalHeader* h) noexcept nogil:
    h.sequence = load64(p + 5)
    h.timestamp_us = <long long> load64(p + 13)
    h.length = <Py_ssize_t> load32(p + 21)


# The longest payload that a 32-bit length can tell.
cdef inline Py_ssize_t length32_max() noexcept nogil:
    return 0xFFFFFFFF

cdef inline void store16(unsigned char* p, unsigned int value) noexcept nogil:
    p[0] = <unsigned char> (value >> 8)
    p[1] = <unsigned char> value

cdef inline void store32(unsigned char* p, unsigned int value) noexcept nogil:
    store16(p, value >> 16)
    store16(p + 2, value)

cdef inline void store64(unsigned char* p, unsigned long long value) noexcept nogil:
    store32(p, <unsigned int> (value >> 32))
    store32(p + 4, <unsigned int> value)

cdef inline unsigned int load32(const unsigned char* p) noexcept nogil:
    return <unsigned int> p[0] << 24 | <unsigned int> p[1] << 16 | p[2] << 8 | p[3]

cdef inline unsigned long long load64(const unsigned char* p) noexcept nogil:
    return <unsigned long long> load32(p) << 32 | load32(p + 4)
