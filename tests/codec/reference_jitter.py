"""The jitter buffer once more, with plain lists of whole frames: the executable specification."""

RATES = (16000, 24000, 48000)


def signed(difference, size):
    return (difference + size // 2) % size - size // 2


def seq_step(later, earlier):
    return signed(later.seq - earlier.seq, 4096)


def ms_step(later, earlier):
    return signed(later.timestamp - earlier.timestamp, 1048576)


def order(left, right):
    return ms_step(left, right) or seq_step(left, right)


def length_us(frame):
    samples = frame.samples if frame.codec else len(frame.payload) // 2 // (frame.channel + 1)
    return samples * 1_000_000 // RATES[frame.sample_rate] if frame.sample_rate < 3 else 0


def same_place(left, right):
    return (left.seq, left.timestamp) == (right.seq, right.timestamp)


def same(left, right):
    return same_place(left, right) and left.payload == right.payload


class Jitter:
    """Gaps are tuples: seq, timestamp, frames, duration_ms."""

    def __init__(self, *, window_ms=200):
        self.window_ms = window_ms
        self.history, self.waiting, self.joined = [], [], False
        self.pushed = self.duplicates = self.late = self.lost = self.gaps = self.restarts = 0

    def push(self, frame):
        self.pushed += 1
        recent = self.history[-128:]
        if any(same(frame, other) for other in recent + self.waiting):
            self.duplicates += 1
            return []
        out = []
        if self._anew(frame, recent):
            out = self.flush()
            self.joined = False
            self.restarts += 1
        elif self.joined and order(frame, self.history[-1]) < 0:
            self.late += 1
            return []
        at = len(self.waiting)
        while at and order(frame, self.waiting[at - 1]) < 0:
            at -= 1
        self.waiting.insert(at, frame)
        while self.waiting and self._due():
            out += self._release()
        return out

    def flush(self):
        out = []
        while self.waiting:
            out += self._release()
        return out

    def _anew(self, frame, recent):
        if any(same_place(frame, other) for other in self.waiting):
            return True
        if self.waiting:
            newest = self.waiting[-1]
        elif self.joined:
            newest = self.history[-1]
        else:
            return False
        frames, milliseconds = seq_step(frame, newest), ms_step(frame, newest)
        if frames * milliseconds < 0:
            return True
        if order(frame, newest) > 0:
            return bool(frame.key) and frames > 128
        bound = newest
        if self.joined:
            bound = self.history[-1]
            if order(frame, bound) > 0:
                return False
        far = ms_step(frame, bound) < -2000 or seq_step(frame, bound) < -128
        return far or any(same_place(frame, other) for other in recent)

    def _due(self):
        first, newest = self.waiting[0], self.waiting[-1]
        if self.history and seq_step(first, self.history[-1]) == 1:
            return True
        if first.key and not self.joined:
            return True
        span_ms = ms_step(newest, first)
        sound_us = sum(length_us(frame) for frame in self.waiting[:-1])
        full = len(self.waiting) == 512
        return span_ms >= self.window_ms or sound_us >= self.window_ms * 1000 or full

    def _release(self):
        frame = self.waiting.pop(0)
        gap = self._gap(frame) if self.history else []
        self.history.append(frame)
        self.joined = True
        return [*gap, frame]

    def _gap(self, frame):
        last = self.history[-1]
        missing = seq_step(frame, last) - 1
        if missing < 1 or (not self.joined and missing >= 128):
            return []
        step_ms, last_us = ms_step(frame, last), length_us(last)
        told = self.joined and step_ms > 0
        if told and not last_us:
            last_us = step_ms * 1000 // (missing + 1)
        most_us = missing * max(last_us, length_us(frame))
        lost_us = min(max(step_ms * 1000 - last_us, 0), most_us) if told else most_us
        self.gaps += 1
        self.lost += missing
        start = (last.timestamp + last_us // 1000) % 1048576
        return [((last.seq + 1) % 4096, start, missing, (lost_us + 500) // 1000)]
