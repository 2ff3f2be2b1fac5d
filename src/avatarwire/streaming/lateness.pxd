cdef enum:
    BUCKETS = 19

cdef class Lateness:
    cdef long long tally[BUCKETS]
    cdef double worst_ms
    cdef void note(self, double late_s) noexcept
