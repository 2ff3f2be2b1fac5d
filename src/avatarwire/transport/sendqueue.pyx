# cython: freethreading_compatible=True
"""What the operating system still holds of what was written to a socket.

It is asked before each write of a paced turn, in thousands of sessions: hence native.
"""

cdef extern from *:
    """
    #if defined(__linux__)
    #include <string.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <termios.h>

    #define AVATARWIRE_SIOCOUTQNSD 0x894B  /* the same on every architecture */
    #define AVATARWIRE_MIN_RTT_AT 148      /* tcpi_min_rtt in struct tcp_info, since Linux 4.6 */

    static int avatarwire_unacknowledged(int fd)
    {
        int size;
        return ioctl(fd, TIOCOUTQ, &size) ? -1 : size;
    }

    static int avatarwire_is_full(int fd, int limit_bytes)
    {
        int size;
        return ioctl(fd, AVATARWIRE_SIOCOUTQNSD, &size) ? 0 : size >= limit_bytes;
    }

    static double avatarwire_least_round_trip_s(int fd)
    {
        unsigned char info[AVATARWIRE_MIN_RTT_AT + 4];
        unsigned int us;
        socklen_t size = sizeof info;
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) || size < sizeof info)
            return -1;
        memcpy(&us, info + AVATARWIRE_MIN_RTT_AT, 4);
        return us == 0xFFFFFFFFu ? -1 : us / 1e6;
    }
    #elif defined(__APPLE__)
    #include <poll.h>
    #include <sys/socket.h>

    static int avatarwire_unacknowledged(int fd)
    {
        int size;
        socklen_t length = sizeof size;
        return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &size, &length) ? -1 : size;
    }

    static int avatarwire_is_full(int fd, int limit_bytes)
    {
        struct pollfd asked = {fd, POLLOUT, 0};
        (void)limit_bytes;  /* that of TCP_NOTSENT_LOWAT decides */
        return poll(&asked, 1, 0) == 0;
    }

    static double avatarwire_least_round_trip_s(int fd)
    {
        (void)fd;
        return -1;
    }
    #else
    static int avatarwire_unacknowledged(int fd) { (void)fd; return -1; }
    static int avatarwire_is_full(int fd, int limit) { (void)fd; (void)limit; return 0; }
    static double avatarwire_least_round_trip_s(int fd) { (void)fd; return -1; }
    #endif
    """
    int avatarwire_unacknowledged(int fd) noexcept
    int avatarwire_is_full(int fd, int limit_bytes) noexcept
    double avatarwire_least_round_trip_s(int fd) noexcept


def unacknowledged_bytes(int fd):
    """Return how much the peer's system has not acknowledged; None where that is not told."""
    cdef int size = avatarwire_unacknowledged(fd)
    return None if size < 0 else size


def is_full(int fd, int limit_bytes):
    """Return whether so much, or more, has not even been sent; False where that is not told."""
    return avatarwire_is_full(fd, limit_bytes) != 0


def least_round_trip_s(int fd):
    """Return the shortest round trip of late, in seconds; None where that is not told."""
    cdef double least_s = avatarwire_least_round_trip_s(fd)
    return None if least_s < 0 else least_s
