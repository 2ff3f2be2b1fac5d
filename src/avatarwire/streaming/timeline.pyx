# cython: freethreading_compatible=True, cdivision=True
"""The sound of one turn in time: what waits, what is due, what was sent and when it is played.

Arithmetic without a clock of its own. It is native, and one object, for what it costs with
thousands of streams: there a tick pays for the memory that it touches, all of it cold.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE

from avatarwire.streaming.lateness cimport Lateness

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "string.h":
    void *memmove(void *to, const void *start, size_t size) nogil

cdef enum:
    # The longest that a `Timing` may say, too.
    MAX_MS = 3600000
    # So many writes are told apart on their way; with more, the last ones are taken as one.
    WRITES_MAX = 8
    # So many chunks that are gone may stand before the others; moving those is the work.
    GONE_MAX = 64

cdef struct Written:
    # Where on the connection's wire a write begins and ends, and which of the turn's sound it is.
    long long wire_from
    long long wire_to
    long long sound_from
    long long sound_to

# Binary fractions of a second are inexact; a frame that fits must not be held back for it.
cdef double EPSILON_S = 1e-6


@cython.boundscheck(True)  # a wrong index into a list is an error, not a dead process
@cython.final
cdef class Timeline:
    """What becomes of a turn's sound, from the queue to the listener.

    The queue gives pieces other than those it was given, and copies none that leaves within the
    chunk it came in. Sound leaves in whole frames, as much as the lead allows, at least a batch at
    a time; the last frame may be short.

    The first sample plays when it is sent, and each one follows the one before it; sound that comes
    after everything else has been played (an underrun) plays when it is sent.

    What the peer has not acknowledged cannot have been played: while it is on its way for longer
    than a round trip and what had arrived has been played, that is an underrun, too, and all that
    follows is played later.

    Args:
        timing: When sound leaves: a ``Timing``.
        format: What is queued: a ``PcmFormat``.
        keep_ms: How much of what was sent is kept, to be sent again, in milliseconds.
        lateness: Where each write counts how late it is; None: nowhere.

    Raises:
        ValueError: A frame is shorter than a sample, an hour of the format is more than memory can
            hold, or ``keep_ms`` is not 0 to 3,600,000.
    """

    # What holds between any two calls, whatever their order:
    # - 0 <= kept_from <= head <= len(chunks), and every item is bytes, b"" once it is gone.
    # - head_bytes lies within the chunk at head; it is 0 when there is none.
    # - From there on are queued_bytes, and nothing else but half a sample at the end, or what was
    #   dropped of the last chunk: therefore nothing is added behind an end.
    # - Before it, from kept_from on, are at least sent_bytes.
    # - offered_bytes may be more than is queued by now; sent() takes the lesser.
    # - arrived_bytes <= total_bytes. While it is watched, writes[:writes_count] are in the order of
    #   the wire, none wholly acknowledged, and end with noted_bytes; what was sent after those
    #   bytes begins behind noted_wire.
    cdef list chunks
    cdef object view  # of the chunk that leaves now
    cdef Lateness lateness
    cdef Py_ssize_t kept_from  # index of the first chunk that is not gone
    cdef Py_ssize_t head  # index of the chunk that leaves now
    cdef Py_ssize_t head_bytes  # how much of that one was sent
    cdef Py_ssize_t sent_bytes  # how much of what was sent is still here
    cdef long long total_bytes  # how much was sent and not taken back
    cdef long long most_bytes  # the most that total_bytes has been before it fell
    cdef Py_ssize_t offered_bytes
    cdef Py_ssize_t keep_bytes
    cdef readonly Py_ssize_t queued_bytes
    cdef readonly Py_ssize_t frame_bytes
    cdef readonly Py_ssize_t batch_bytes
    cdef readonly Py_ssize_t buffer_bytes
    cdef Py_ssize_t sample_bytes
    cdef readonly long long underruns
    cdef double lacking_s
    cdef double rate
    cdef double frame_s
    cdef double batch_s
    cdef double lead_s
    cdef double begun_s
    cdef double due_s
    cdef double paused_s
    cdef double way_s  # how long an acknowledgment takes at the least
    cdef double behind_s  # how much of what follows is too late for where the turn would be
    cdef Written writes[WRITES_MAX]
    cdef int writes_count
    cdef long long arrived_bytes  # how much of total_bytes the peer has acknowledged
    cdef long long noted_bytes
    cdef long long noted_wire
    cdef bint is_watched  # something was on its way, when it was looked at last
    cdef bint is_starved  # an underrun lasts: it was counted, and nothing has come since
    cdef long long silent_bytes  # what is behind so much of total_bytes began out of silence
    cdef bint has_begun
    cdef bint is_finishing
    cdef bint has_deadline

    def __cinit__(self, timing, format, *, double keep_ms=0, Lateness lateness=None):
        cdef int frame_ms = timing.frame_ms
        cdef double lead_ms = timing.lead_ms, batch_ms = timing.batch_ms
        cdef double buffer_ms = timing.buffer_ms
        cdef double bytes_per_ms = format.bytes_per_second / 1000
        cdef Py_ssize_t batch_frames
        batch_frames = max(1, <Py_ssize_t> (min(batch_ms, lead_ms / 2) / frame_ms + EPSILON_S))
        if format.sample_rate * frame_ms < 1000:
            raise ValueError(
                f"a frame of {frame_ms} ms has no sample at {format.sample_rate} Hz: "
                "sample_rate is in Hz, not kHz"
            )
        if format.bytes_per_second > PY_SSIZE_T_MAX // (MAX_MS // 1000 + 1):
            raise ValueError(
                f"an hour at {format.sample_rate} Hz is more than memory can hold: "
                "sample_rate is in Hz"
            )
        if not 0 <= keep_ms <= MAX_MS:  # also refuses NaN, which no integer can hold
            raise ValueError(f"keep_ms must be 0 to {MAX_MS:,} milliseconds, not {keep_ms!r}")
        self.chunks = []
        self.lateness = lateness
        self.rate = format.sample_rate
        self.sample_bytes = format.frame_bytes
        self.frame_s = frame_ms / 1000.0
        self.frame_bytes = format.sample_rate * frame_ms // 1000 * format.frame_bytes
        self.lead_s = max(lead_ms / 1000, self.frame_s)
        self.batch_s = batch_frames * self.frame_s
        self.batch_bytes = batch_frames * self.frame_bytes
        # Less than a frame does not leave before the end: nobody may have to wait for it.
        self.buffer_bytes = max(<Py_ssize_t> (buffer_ms * bytes_per_ms), self.frame_bytes)
        self.keep_bytes = <Py_ssize_t> (keep_ms * bytes_per_ms)
        self.keep_bytes -= self.keep_bytes % self.sample_bytes

    # The queue

    @property
    @cython.critical_section
    def has_room(self):
        """Whether no more is queued than the timing's ``buffer_ms``."""
        return self.queued_bytes <= self.buffer_bytes

    @property
    @cython.critical_section
    def queued_samples(self):
        """What waits, in whole samples of every channel."""
        return self.queued_bytes // self.sample_bytes

    @cython.critical_section
    def put(self, bytes pcm not None):
        """Add sound; it is kept by reference.

        Raises:
            RuntimeError: After ``finish``, ``clear`` or ``forget``.
        """
        if self.is_finishing:
            raise RuntimeError("the turn's sound has ended: nothing can be added to it")
        if PyBytes_GET_SIZE(pcm):
            self.chunks.append(pcm)
            self.queued_bytes += PyBytes_GET_SIZE(pcm)

    @cython.critical_section
    def front(self, Py_ssize_t size_bytes):
        """Return the next ``size`` bytes, or fewer; ``sent`` removes them from the queue."""
        return self.offer(max(0, min(size_bytes, self.queued_bytes)))

    @cython.critical_section
    def skip(self, Py_ssize_t size_bytes):
        """Take the next so many bytes, or what there is, out of the queue: they are not sent."""
        self.leave_out(max(0, min(size_bytes, self.queued_bytes)))

    @cython.critical_section
    def skip_late(self):
        """Take out of the queue what should have been heard before: it is not sent.

        Returns:
            How much that is, in bytes.
        """
        cdef Py_ssize_t size
        if self.behind_s < self.frame_s:
            return 0
        size = <Py_ssize_t> (self.behind_s * self.rate) * self.sample_bytes
        size = min(size, self.queued_bytes - self.queued_bytes % self.sample_bytes)
        if size:
            self.behind_s -= self.seconds(size)
            self.leave_out(size)
        return size

    @cython.critical_section
    def finish(self):
        """Note that nothing more comes: the last frame may be short, but not half a sample."""
        self.is_finishing = True
        self.queued_bytes -= self.queued_bytes % self.sample_bytes

    @cython.critical_section
    def clear(self):
        """Forget what waits; nothing may be added after this."""
        if not self.keep_bytes:
            self.drop_all()
            return
        self.is_finishing = True
        self.queued_bytes = self.offered_bytes = 0
        self.view = None
        # The chunk that was leaving holds sound that was sent.
        del self.chunks[self.head + (self.head_bytes > 0):]

    @cython.critical_section
    def forget(self):
        """Forget what waits and what was kept; nothing may be added after this."""
        self.drop_all()

    # When it leaves

    @cython.critical_section
    def due(self, double now_s):
        """Return the sound that may leave now; ``sent`` takes it out of the queue.

        Args:
            now_s: The time, in seconds of any clock.

        Returns:
            Whole frames, or what is left; None when nothing may leave yet.
        """
        cdef Py_ssize_t size = self.due_bytes(now_s)
        cdef bint was_awaited = self.has_deadline
        cdef double late_s = max(0, now_s - self.due_s)
        cdef object pcm = self.offer(size)
        cdef Lateness lateness = self.lateness
        self.has_deadline = False
        if not size:
            return None
        # Last: while it waits for this lock, another thread may have the timeline's.
        if was_awaited and lateness is not None:
            with cython.critical_section(lateness):
                lateness.note(late_s)
        return pcm

    @cython.critical_section
    def next_due_s(self, double now_s):
        """Return when ``due`` should be asked again; None when there is nothing to wait for."""
        cdef double left_s = self.batch_s
        if self.is_finishing:
            # The end leaves as late as it may: whatever fits into the lead can still be taken back.
            left_s = min(self.seconds(self.queued_bytes), left_s)
        elif self.queued_bytes < self.frame_bytes:
            self.has_deadline = False
            return None
        self.has_deadline = True
        self.due_s = self.end_s(now_s) - (self.lead_s - left_s)
        return self.due_s

    @cython.critical_section
    def sent(self, double now_s):
        """Note that what ``due`` or ``front`` gave last has been sent.

        All that was sent before has arrived, unless ``acknowledged`` has said otherwise.
        """
        cdef Py_ssize_t size = min(self.offered_bytes, self.queued_bytes)
        cdef double gap_s
        if not size:
            return
        self.pass_over(size)
        self.sent_bytes += size
        self.let_go()
        if not self.has_begun:
            self.has_begun = True
            self.begun_s = now_s
        gap_s = now_s - self.end_s(now_s)
        if gap_s > 0:
            # Shifted, not restarted: the sum of many durations would drift.
            self.begun_s += gap_s
        if not self.is_watched:
            self.arrived_bytes = self.total_bytes
        if gap_s >= -EPSILON_S:
            self.silent_bytes = self.total_bytes
            self.is_starved = False
        if gap_s > EPSILON_S:
            self.underruns += 1
            self.lacking_s += gap_s
            self.is_starved = True
        self.total_bytes += size

    @cython.critical_section
    def acknowledged(self, double now_s, long long wire_bytes, long long left_bytes, double way_s):
        """Note what has arrived, and that nothing that has not can have been played.

        Args:
            now_s: The time.
            wire_bytes: How much has been written to the connection by now.
            left_bytes: How much of it the peer has not acknowledged.
            way_s: How long that takes at the least, in seconds.

        Returns:
            Whether some of the turn's sound is still on its way.
        """
        cdef double lacking_s
        if not self.is_watched:
            self.is_watched = True
            self.noted_bytes = self.arrived_bytes
            self.noted_wire = wire_bytes - left_bytes
        self.note_writes(wire_bytes)
        self.arrive(wire_bytes - left_bytes)
        self.way_s = way_s
        if not self.writes_count:
            self.is_starved = False
            return False
        lacking_s = now_s - self.starves_s()
        if lacking_s <= 0:
            if self.arrived_bytes > self.silent_bytes:
                self.is_starved = False
            return True
        self.begun_s += lacking_s
        # What begins, or goes on after a pause, has not run out before its first sample arrives.
        if not self.is_starved and self.arrived_bytes > self.silent_bytes:
            self.is_starved = True
            self.underruns += 1
        if self.is_starved:
            self.lacking_s += lacking_s
            self.behind_s += lacking_s
        return True

    @cython.critical_section
    def all_arrived(self):
        """Note that nothing is on its way."""
        self.settle()

    @cython.critical_section
    def take_back(self, double now_s, *, bint exact=False):
        """Queue again what was sent, is kept and cannot have been played.

        The sound sent before it counts as played.

        Args:
            now_s: The time, in seconds of any clock.
            exact: It begins with the sample that is due to be played; otherwise with a whole frame:
                what is played of that is heard again rather than lost.

        Returns:
            How much that is, in bytes.
        """
        cdef Py_ssize_t size = min(self.sent_bytes, self.keep_bytes)
        cdef Py_ssize_t ahead
        cdef double ahead_s = self.end_s(now_s) - now_s
        if ahead_s < self.seconds(size):
            if exact:
                ahead = <Py_ssize_t> (max(0, ahead_s) * self.rate + 0.5) * self.sample_bytes
            else:
                ahead = <Py_ssize_t> (max(0, ahead_s) * self.rate * self.sample_bytes + 0.5)
                ahead += self.frame_bytes - 1
                ahead -= ahead % self.frame_bytes
            size = min(size, ahead)
        self.has_deadline = False
        self.offered_bytes = 0
        self.queued_bytes += size
        self.most_bytes = max(self.most_bytes, self.total_bytes)
        self.total_bytes -= size
        self.begun_s = now_s - self.seconds(self.total_bytes)
        self.has_begun = self.total_bytes > 0
        self.settle()
        self.head_bytes -= size
        while self.head_bytes < 0:
            assert self.head > self.kept_from, "more is taken back than is kept"
            self.head -= 1
            self.head_bytes += PyBytes_GET_SIZE(<bytes> self.chunks[self.head])
            self.view = None
        self.keep_nothing()
        return size

    @cython.critical_section
    def pause(self, double now_s):
        """Note that nothing leaves from now on, and that none of it is late."""
        self.has_deadline = False
        self.paused_s = now_s

    @cython.critical_section
    def resume(self, double now_s):
        """Let the clock go on that has stood still since the pause, or since the sound ran out."""
        cdef double stood_still_s = now_s - max(self.end_s(now_s), self.paused_s)
        if self.has_begun and stood_still_s > 0:
            self.begun_s += stood_still_s

    # When it is played

    @property
    @cython.critical_section
    def sent_samples(self):
        """What was sent and not taken back, in whole samples of every channel."""
        return self.total_bytes // self.sample_bytes

    @property
    @cython.critical_section
    def most_samples(self):
        """The most that this has ever been: it falls by what is taken back."""
        return max(self.most_bytes, self.total_bytes) // self.sample_bytes

    @property
    @cython.critical_section
    def arrived_samples(self):
        """What the peer has acknowledged of what was sent, in whole samples of every channel."""
        return self.arrived_bytes // self.sample_bytes

    @property
    @cython.critical_section
    def starves_at_s(self):
        """When that will have been played, as far as is known."""
        return self.starves_s()

    @property
    @cython.critical_section
    def underrun_s(self):
        """For how long the sound ran out before more was sent, in seconds."""
        return self.lacking_s

    @cython.critical_section
    def begins_at_s(self, double now_s):
        """Return when the first sample is played; ``now_s`` before there is one."""
        return self.begun_s if self.has_begun else now_s

    @cython.critical_section
    def ends_at_s(self, double now_s):
        """Return when everything sent has been played; ``now_s`` before the first sample."""
        return self.end_s(now_s)

    @cython.critical_section
    def position_s(self, double now_s):
        """Return how much of what was sent has been played, no more than has arrived."""
        cdef double played_s = self.seconds(self.total_bytes) - max(0, self.end_s(now_s) - now_s)
        if self.is_watched:
            played_s = min(played_s, self.seconds(self.arrived_bytes))
        return max(0, played_s)

    cdef double end_s(self, double now_s) noexcept:
        return self.begun_s + self.seconds(self.total_bytes) if self.has_begun else now_s

    cdef double seconds(self, long long size_bytes) noexcept:
        return size_bytes / (self.rate * self.sample_bytes)

    cdef double starves_s(self) noexcept:
        return self.begun_s + self.seconds(self.arrived_bytes) + self.way_s

    cdef void settle(self) noexcept:
        self.writes_count = 0
        self.arrived_bytes = self.total_bytes
        self.is_starved = self.is_watched = False

    cdef void note_writes(self, long long wire_bytes) noexcept:
        """Note where the wire has what was sent since the last look."""
        cdef Written *last
        if self.total_bytes > self.noted_bytes:
            if self.writes_count < WRITES_MAX:
                last = &self.writes[self.writes_count]
                last.wire_from = self.noted_wire
                last.sound_from = self.noted_bytes
                self.writes_count += 1
            last = &self.writes[self.writes_count - 1]
            last.wire_to = wire_bytes
            last.sound_to = self.noted_bytes = self.total_bytes
        self.noted_wire = wire_bytes

    cdef void arrive(self, long long wire_bytes) noexcept:
        """Note that so much of the wire was acknowledged."""
        cdef int gone = 0
        cdef Written *first
        cdef long long arrived_bytes
        while gone < self.writes_count and self.writes[gone].wire_to <= wire_bytes:
            self.arrived_bytes = self.writes[gone].sound_to
            gone += 1
        if gone:
            self.writes_count -= gone
            memmove(self.writes, self.writes + gone, self.writes_count * sizeof(Written))
        if self.writes_count:
            first = &self.writes[0]
            if wire_bytes > first.wire_from:
                arrived_bytes = (wire_bytes - first.wire_from) * (first.sound_to - first.sound_from)
                arrived_bytes //= first.wire_to - first.wire_from
                arrived_bytes += first.sound_from
                arrived_bytes -= arrived_bytes % self.sample_bytes
                self.arrived_bytes = max(self.arrived_bytes, arrived_bytes)

    cdef Py_ssize_t due_bytes(self, double now_s) noexcept:
        cdef double room_s = self.lead_s - max(0, self.end_s(now_s) - now_s) + EPSILON_S
        if self.writes_count:
            # What lies behind it cannot be taken back: no more than a batch at a time.
            room_s = min(room_s, self.batch_s + EPSILON_S)
        if self.is_finishing and self.seconds(self.queued_bytes) <= room_s:
            return self.queued_bytes
        if not room_s >= self.batch_s:  # also when a time is NaN, which no integer can hold
            return 0
        return min(
            self.queued_bytes // self.frame_bytes, <Py_ssize_t> (room_s / self.frame_s)
        ) * self.frame_bytes

    cdef object offer(self, Py_ssize_t size):
        """Return the first ``size`` bytes of the queue."""
        cdef Py_ssize_t index = self.head, start = self.head_bytes, end = start + size
        cdef bytes chunk
        cdef list pieces
        self.offered_bytes = size
        if size <= 0:
            return b""
        chunk = <bytes> self.chunks[index]
        if end <= PyBytes_GET_SIZE(chunk):
            if end - start == PyBytes_GET_SIZE(chunk):
                return chunk
            if self.view is None:
                self.view = memoryview(chunk)
            return self.view[start:end]
        pieces = []
        while end > 0:
            chunk = <bytes> self.chunks[index]
            pieces.append(chunk[start:min(end, PyBytes_GET_SIZE(chunk))])
            end -= PyBytes_GET_SIZE(chunk)
            index += 1
            start = 0
        return b"".join(pieces)

    cdef int pass_over(self, Py_ssize_t size) except -1:
        """Move the front of the queue."""
        self.offered_bytes = 0
        self.queued_bytes -= size
        self.head_bytes += size
        while self.head < len(self.chunks):
            if self.head_bytes < PyBytes_GET_SIZE(<bytes> self.chunks[self.head]):
                return 0
            self.head_bytes -= PyBytes_GET_SIZE(<bytes> self.chunks[self.head])
            self.head += 1
            self.view = None
        assert not self.head_bytes, "more was taken out of the queue than was in it"
        return 0

    cdef int leave_out(self, Py_ssize_t size) except -1:
        """Move the front of the queue over sound that is not sent."""
        self.has_deadline = False
        self.pass_over(size)
        # What was sent no longer ends where the queue begins.
        self.keep_nothing()
        if self.head_bytes:
            self.chunks[self.head] = (<bytes> self.chunks[self.head])[self.head_bytes:]
            self.head_bytes = 0
            self.view = None
        return 0

    cdef int let_go(self) except -1:
        """Drop the chunks that were sent and need not be kept."""
        cdef Py_ssize_t size
        while self.kept_from < self.head:
            size = PyBytes_GET_SIZE(<bytes> self.chunks[self.kept_from])
            if self.sent_bytes - size < self.keep_bytes:
                return 0
            self.sent_bytes -= size
            self.drop_first()
        return 0

    cdef int keep_nothing(self) except -1:
        """Forget that anything before the front of the queue was sent."""
        self.sent_bytes = 0
        while self.kept_from < self.head:
            self.drop_first()
        return 0

    cdef int drop_all(self) except -1:
        """Forget all sound, sent or not; nothing may be added after this."""
        self.is_finishing = True
        self.queued_bytes = self.offered_bytes = self.sent_bytes = 0
        self.view = None
        del self.chunks[:]
        self.kept_from = self.head = self.head_bytes = 0
        return 0

    cdef int drop_first(self) except -1:
        self.chunks[self.kept_from] = b""
        self.kept_from += 1
        if self.kept_from == GONE_MAX:
            del self.chunks[:GONE_MAX]
            self.kept_from = 0
            self.head -= GONE_MAX
        return 0
