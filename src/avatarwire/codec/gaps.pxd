cdef class Gap:
    cdef int first_seq
    cdef int start_ms
    cdef int count
    cdef long long lost_ms
