# cython: freethreading_compatible=True, cdivision=True
"""How loud a piece of sound is."""

from libc.math cimport sqrt
from libc.stdint cimport uint64_t

from avatarwire.codec._borrow cimport Loan, give_back
from avatarwire.codec._pcm cimport borrow_pcm

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>

    #if defined(__GNUC__)
    #define AVATARWIRE_INLINE static inline __attribute__((always_inline))
    #else
    #define AVATARWIRE_INLINE static inline
    #endif

    /* Returns the sum of the squares of `count` samples, and widens `low` and `high` to the range
     * they lie in. The compiler vectorises it for the processor of the function it goes into;
     * samples are read byte by byte, so neither alignment nor byte order matters. */
    AVATARWIRE_INLINE uint64_t avatarwire_measure_any(
        const unsigned char *pcm, Py_ssize_t count, int *low, int *high
    ) {
        uint64_t sum = 0;
        int16_t lowest = 0;
        int16_t highest = 0;
        for (Py_ssize_t i = 0; i < count; i++) {
            const int16_t sample = (int16_t) (uint16_t) (pcm[2 * i] | pcm[2 * i + 1] << 8);
            sum += (uint32_t) (sample * sample);
            lowest = sample < lowest ? sample : lowest;
            highest = sample > highest ? sample : highest;
        }
        *low = lowest < *low ? lowest : *low;
        *high = highest > *high ? highest : *high;
        return sum;
    }

    #if defined(__GNUC__) && defined(__x86_64__)
    __attribute__((target("avx2"))) static uint64_t avatarwire_measure_wide(
        const unsigned char *pcm, Py_ssize_t count, int *low, int *high
    ) {
        return avatarwire_measure_any(pcm, count, low, high);
    }
    #define avatarwire_is_wide() __builtin_cpu_supports("avx2")
    #else
    #define avatarwire_is_wide() 0
    #define avatarwire_measure_wide avatarwire_measure_any
    #endif

    static uint64_t avatarwire_measure(
        const unsigned char *pcm, Py_ssize_t count, int *low, int *high
    ) {
        if (avatarwire_is_wide())
            return avatarwire_measure_wide(pcm, count, low, high);
        return avatarwire_measure_any(pcm, count, low, high);
    }
    """
    uint64_t measure "avatarwire_measure"(
        const unsigned char* pcm, Py_ssize_t count, int* low, int* high
    ) noexcept nogil

cdef enum:
    # 128 KB, some 11 us of work: from here on, letting other threads run costs less than a
    # twentieth.
    BLOCK_SAMPLES = 65536


def level(pcm):
    """Tell how loud a piece of sound is, for instance to draw a meter or to notice speech.

    Args:
        pcm: 16-bit little-endian PCM (protocol section 5) in any contiguous buffer, read in place;
            interleaved channels are measured together.

    Returns:
        Root mean square and peak as fractions of full scale, 0.0 to 1.0: a sample of -32768 peaks
        at exactly 1.0. The squares are added up as integers, however long the sound is. No sound
        has the level ``(0.0, 0.0)``.

    Raises:
        TypeError: ``pcm`` is no buffer, or one of other items than bytes and 16-bit integers.
        ValueError: ``pcm`` has an odd number of bytes or is not contiguous.
    """
    cdef Loan loan
    cdef Py_ssize_t count, start
    cdef int low = 0
    cdef int high = 0
    cdef uint64_t square
    cdef double mean
    borrow_pcm(pcm, &loan)
    try:
        if loan.size % 2:
            raise ValueError(
                f"pcm must be whole 16-bit samples, an even number of bytes, not {loan.size}"
            )
        count = loan.size // 2
        if not count:
            return 0.0, 0.0
        if count < BLOCK_SAMPLES:
            mean = <double> measure(loan.data, count, &low, &high) / count
        else:
            # A block's sum has 46 bits; Python's integers take any number of them.
            total = 0
            for start in range(0, count, BLOCK_SAMPLES):
                with nogil:
                    square = measure(
                        loan.data + 2 * start, min(BLOCK_SAMPLES, count - start), &low, &high
                    )
                total += square
            mean = total / count
    finally:
        give_back(&loan)
    return sqrt(mean) / 32768, <double> max(-low, high) / 32768
