"""What begins like a file or like text is told from samples, and samples from those."""

import io
import json
import logging
import math
import random
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.audio import Beginning, kind_of_content

LOGGER = logging.getLogger("avatarwire.test")
TONE = [round(8000 * math.sin(n / 9)) for n in range(48000)]
SAMPLES = b"".join(struct.pack("<h", n) for n in TONE)


def encoded(container_format: str, codec: str, **options: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container_format, container_options=options) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.array([TONE], np.int16), "s16", "mono")
        frame.sample_rate = 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()


FILES = {
    "WAV": encoded("wav", "pcm_s16le"),
    "RF64 (a WAV over 4 GB)": encoded("wav", "pcm_s16le", rf64="always"),
    "AIFF": encoded("aiff", "pcm_s16be"),
    "Sun audio": encoded("au", "pcm_s16be"),
    "Core Audio": encoded("caf", "pcm_s16be"),
    "Wave64": encoded("w64", "pcm_s16le"),
    "MP3": encoded("mp3", "libmp3lame"),
    "MP3 frames": encoded("mp3", "libmp3lame", id3v2_version="0", write_xing="0"),
    "AAC frames": encoded("adts", "aac"),
    "MP4": encoded("ipod", "aac"),
    "Ogg": encoded("ogg", "libopus"),
    "FLAC": encoded("flac", "flac"),
    "WebM or Matroska": encoded("webm", "libopus"),
    "HTML": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON": json.dumps({"error": {"message": "quota exceeded", "说明": "限额"}}).encode(),
    "text": b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "base64": b"UklGRv////9XQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAAZGF0Yf////8AAAAAAAAAAAAA",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(90),
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(90),
    "WebP": b"RIFF\xf4\1\0\0WEBPVP8 " + bytes(90),
    "AVIF": b"\0\0\0\x20ftypavif" + bytes(90),
    "GIF": b"GIF89a" + bytes(90),
    "RIFX (a big-endian WAV)": b"RIFX\0\0\1\0WAVEfmt " + bytes(90),
    "gzip": b"\x1f\x8b\x08" + bytes(90),
}


@pytest.mark.parametrize(("kind", "content"), FILES.items(), ids=FILES.keys())
def test_what_is_no_sound_is_named(kind: str, content: bytes) -> None:
    assert kind_of_content(content[:2048]) == kind


@pytest.mark.parametrize(
    "content",
    [
        b" \r\n <HTML lang=en>\n<head><title>Moved</title></head>",
        b"\xef\xbb\xbf<!doctype html><p>\xc3\xa9\xc3\xa9",
    ],
)
def test_html_may_begin_in_many_ways(content: bytes) -> None:
    assert kind_of_content(content) == "HTML"


@pytest.mark.parametrize("kbps", [32, 64, 128, 320])
@pytest.mark.parametrize("rate", [16000, 22050, 24000, 32000, 44100, 48000])
def test_mp3_of_any_rate_is_known_by_its_frames(rate: int, kbps: int) -> None:
    out = io.BytesIO()
    options = {"id3v2_version": "0", "write_xing": "0"}
    with av.open(out, "w", format="mp3", container_options=options) as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
        stream.bit_rate = kbps * 1000
        frame = av.AudioFrame.from_ndarray(np.array([TONE], np.int16), "s16", "mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    assert kind_of_content(out.getvalue()[:2048]) == "MP3 frames"


@given(st.binary(min_size=0, max_size=100))
def test_it_takes_any_bytes(content: bytes) -> None:
    kind_of_content(content)
    kind_of_content(b"\xff\xfb" + content)
    kind_of_content(b"\xff\xf1" + content)


def test_sound_is_never_taken_for_anything_else() -> None:
    chance = random.Random(5)  # noqa: S311
    for start in range(2000):
        assert kind_of_content(SAMPLES[2 * start : 2 * start + 2048]) is None
    for width in (1, 30, 1000, 32767):
        noise = [chance.randint(-width, width) for _ in range(200_000)]
        pcm = struct.pack(f"<{len(noise)}h", *noise)
        assert not any(kind_of_content(pcm[n : n + 2048]) for n in range(0, len(pcm) - 2048, 100))
    # A loud sample may look like the first two bytes of a frame of MP3.
    assert kind_of_content(b"\xff\xfb\x90\x00" + SAMPLES[:2044]) is None
    for silence in (bytes(2048), b"\xff" * 2048, b"\1\0" * 1024, b"\xff\xff" * 1024):
        assert kind_of_content(silence) is None


@pytest.mark.parametrize("size", [1, 3, 8, 100, 5000])
def test_it_is_told_once_however_it_is_cut(size: int, caplog: pytest.LogCaptureFixture) -> None:
    for kind, content in FILES.items():
        caplog.clear()
        beginning = Beginning("turn 7", LOGGER)
        for start in range(0, len(content), size):
            beginning.look_at(content[start : start + size])
        (record,) = caplog.records
        assert record.getMessage().startswith(f"turn 7 begins like {kind.partition(' ')[0]}")
        assert record.levelno == logging.WARNING
        assert "16-bit samples" in record.getMessage()


def test_it_says_what_to_do_and_not_what_it_holds(caplog: pytest.LogCaptureFixture) -> None:
    for kind, words in (
        ("WAV", "avatarwire.audio.read"),
        ("JSON", "look at the answer"),
        ("base64", "decode the base64"),
    ):
        caplog.clear()
        Beginning("it", LOGGER).look_at(FILES[kind])
        assert words in caplog.text
    caplog.clear()
    Beginning("it", LOGGER, advice="ask").look_at(FILES["JSON"])
    assert caplog.text.rstrip().endswith("noise: ask")
    assert "quota" not in caplog.text


def test_it_looks_no_longer_than_it_must(caplog: pytest.LogCaptureFixture) -> None:
    beginning = Beginning("it", LOGGER)
    beginning.look_at(SAMPLES[:2000])
    assert not beginning.is_known
    beginning.look_at(SAMPLES[2000:])
    assert beginning.is_known
    beginning.look_at(FILES["JSON"])
    assert not caplog.records
    beginning.begin()
    assert not beginning.is_known
    beginning.look_at(SAMPLES)
    assert beginning.is_known
    assert not caplog.records
