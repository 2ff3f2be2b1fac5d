# cython: freethreading_compatible=True, cdivision=True
"""How late things happen, in few numbers."""

cimport cython

#: Upper bounds of the buckets, in milliseconds; what is later still has a bucket of its own.
BOUNDS_MS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)

cdef double[BUCKETS - 1] bounds_ms = BOUNDS_MS


@cython.final
cdef class Lateness:
    """A histogram of delays behind a deadline.

    Attributes:
        counts: How many fell into each bucket of ``BOUNDS_MS``, and above the last.
        max_ms: The largest, in milliseconds.
    """

    @property
    @cython.critical_section
    def counts(self):
        """How many fell into each bucket of ``BOUNDS_MS``, and above the last."""
        return [self.tally[index] for index in range(BUCKETS)]

    @property
    @cython.critical_section
    def max_ms(self):
        """The largest, in milliseconds."""
        return self.worst_ms

    def __reduce__(self):
        return restored, (self.counts, self.max_ms)

    @cython.critical_section
    def clear(self):
        """Forget what was counted."""
        cdef int index
        for index in range(BUCKETS):
            self.tally[index] = 0
        self.worst_ms = 0

    @cython.critical_section
    def add(self, double late_s):
        """Count one delay, in seconds."""
        self.note(late_s)

    @cython.critical_section
    def percentile_ms(self, double percent):
        """Return a bound, in milliseconds, that ``percent`` of all delays do not exceed."""
        cdef long long total = 0, reached = 0
        cdef int index
        for index in range(BUCKETS):
            total += self.tally[index]
        for index in range(BUCKETS - 1):
            reached += self.tally[index]
            if reached >= total * percent / 100:
                return min(bounds_ms[index], self.worst_ms)
        return self.worst_ms

    cdef void note(self, double late_s) noexcept:
        cdef double late_ms = late_s * 1000
        cdef int index = 0
        while index < BUCKETS - 1 and bounds_ms[index] < late_ms:
            index += 1
        self.tally[index] += 1
        self.worst_ms = max(self.worst_ms, late_ms)


def restored(counts, double max_ms):
    """Return a histogram as it was when it was pickled or copied."""
    cdef Lateness lateness = Lateness()
    cdef int index
    for index in range(BUCKETS):
        lateness.tally[index] = counts[index]
    lateness.worst_ms = max_ms
    return lateness
