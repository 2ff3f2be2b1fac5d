"""The wire once more, with nothing but int and struct: the specification that the codec meets."""

import math
import struct

RATES = (16000, 24000, 48000)


def audio(channel, key, seq, timestamp, sample_rate, samples, codec, payload):
    value = 0b01 << 70
    value |= channel << 69
    value |= key << 68
    value |= (seq % 4096) << 56
    value |= (timestamp % 1048576) << 36
    value |= sample_rate << 34
    value |= samples << 22
    value |= codec << 20
    return (value | len(payload)).to_bytes(9, "big") + bytes(payload)


def read_audio(message):
    if len(message) < 9:
        raise ValueError("too short")
    value = int.from_bytes(message[:9], "big")
    if value >> 70 != 0b01:
        raise ValueError("Not an audio frame")
    length = value & 0xFFFF
    if len(message) - 9 < length:
        raise ValueError("payload truncated")
    return {
        "channel": value >> 69 & 1,
        "key": value >> 68 & 1,
        "seq": value >> 56 & 0xFFF,
        "timestamp": value >> 36 & 0xFFFFF,
        "sample_rate": value >> 34 & 3,
        "samples": value >> 22 & 0xFFF,
        "codec": value >> 20 & 3,
        "payload": bytes(message[9 : 9 + length]),
    }


def image(format, quality, image_id, width, height, payload):  # noqa: A002
    head = struct.pack(">BBHHHI", 0x80 | format, quality, image_id, width, height, len(payload))
    return head + bytes(payload)


def read_image(message):
    if len(message) < 12:
        raise ValueError("too short")
    first, quality, image_id, width, height, length = struct.unpack_from(">BBHHHI", message)
    if first >> 6 != 0b10:
        raise ValueError("Not an image frame")
    if len(message) - 12 < length:
        raise ValueError("payload truncated")
    return {
        "format": first & 15,
        "quality": quality,
        "image_id": image_id,
        "width": width,
        "height": height,
        "payload": bytes(message[12 : 12 + length]),
    }


def external(sequence, timestamp_us, payload):
    return struct.pack(">4sBQqI", b"EXAU", 1, sequence, timestamp_us, len(payload)) + bytes(payload)


class Framer:
    """Keeps every byte and computes each timestamp from the whole: slow, and plainly right."""

    def __init__(self, *, sample_rate=16000, channels=1, frame_ms=40, seq=0, timestamp=0):
        self.rate, self.channels = sample_rate, channels
        self.size = sample_rate * frame_ms // 1000 * 2 * channels
        self.seq, self.start, self.key = seq, timestamp, 1
        self.sent, self.rest = 0, b""

    def _frame(self, pcm):
        samples = len(pcm) // (2 * self.channels)
        timestamp = self.start + self.sent * 1000 // self.rate
        rate = RATES.index(self.rate)
        message = audio(self.channels - 1, self.key, self.seq, timestamp, rate, samples, 0, pcm)
        self.key, self.seq, self.sent = 0, self.seq + 1, self.sent + samples
        return message

    def frames(self, pcm):
        self.rest += bytes(pcm)
        result = []
        while len(self.rest) >= self.size:
            result.append(self._frame(self.rest[: self.size]))
            self.rest = self.rest[self.size :]
        return result

    def flush(self):
        whole = len(self.rest) - len(self.rest) % (2 * self.channels)
        pcm, self.rest = self.rest[:whole], b""
        return [self._frame(pcm)] if pcm else []

    def reset(self, *, seq=None, timestamp=None):
        self.rest, self.key = b"", 1
        if seq is not None:
            self.seq = seq
        if timestamp is not None:
            self.start, self.sent = timestamp, 0


def client_message(payload, key, *, text=False):
    first = 0x81 if text else 0x82
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def level(pcm):
    samples = [value for (value,) in struct.iter_unpack("<h", pcm)]
    if not samples:
        return 0.0, 0.0
    mean = sum(value * value for value in samples) / len(samples)
    return math.sqrt(mean) / 32768, max(abs(value) for value in samples) / 32768
