import io
import wave

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.recording.wav import GrowingWav


def read(path):
    with wave.open(io.BytesIO(path.read_bytes())) as wav:
        assert wav.getsampwidth() == 2
        format_ = PcmFormat(wav.getframerate(), wav.getnchannels())
        return format_, wav.readframes(wav.getnframes())


@pytest.mark.parametrize("format_", [PcmFormat(24000), PcmFormat(16000, 2)])
def test_it_can_be_read_whenever_it_was_flushed(tmp_path, format_):
    path = tmp_path / "a.wav"
    wav = GrowingWav(path, format_)
    assert read(path) == (format_, b"")
    pcm = bytes(range(240))
    for count in range(1, 4):
        assert wav.append(pcm) == (count - 1) * 240 // format_.frame_bytes
        wav.flush()
        assert read(path) == (format_, pcm * count)
    wav.close()
    assert read(path) == (format_, pcm * 3)


def test_what_is_left_out_is_silence(tmp_path):
    wav = GrowingWav(tmp_path / "a.wav", PcmFormat(1000))
    wav.put(3, b"\x01\x02")
    wav.lengthen(6)
    wav.lengthen(2)
    wav.close()
    assert read(tmp_path / "a.wav")[1] == bytes(6) + b"\x01\x02" + bytes(4)
    assert wav.samples == 6


def test_it_is_no_longer_than_its_header_can_say(tmp_path):
    wav = GrowingWav(tmp_path / "a.wav", PcmFormat(1000))
    with pytest.raises(OSError, match="4294967251 bytes"):
        wav.put(2**31, b"ab")
    wav.close()
