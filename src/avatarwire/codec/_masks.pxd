# Each call hands out bytes that no other call gets.
cdef int draw(unsigned char* out, Py_ssize_t size) except -1
