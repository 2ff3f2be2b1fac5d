# A frame keeps its header unpacked. Its payload is `header.length` bytes of `source` from `start`:
# the whole message it was unpacked from, until somebody asks for the payload itself.

from avatarwire.codec._bits cimport ImageHeader

cdef class ImageFrame:
    cdef ImageHeader header
    cdef bytes source
    cdef Py_ssize_t start
    cdef bytes encode(self)
    cdef int load(self, object payload) except -1
