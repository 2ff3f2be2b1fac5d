"""What a run of bytes is that should be samples, told by how it begins."""

import logging

__all__ = ["Beginning", "kind_of_content"]

#: Two frames of most MP3: one alone could be samples.
ENOUGH_BYTES = 2048
#: Text of this length is no sound: each of its samples would be over a quarter of full scale.
TEXT_BYTES = 64
#: What begins like a document, too, after so much of it.
OPENING_BYTES = 12

_MAGIC = (
    (b"RIFX", "RIFX (a big-endian WAV)"),
    (b"RF64", "RF64 (a WAV over 4 GB)"),
    (b"BW64", "RF64 (a WAV over 4 GB)"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"ID3", "MP3"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"caff", "Core Audio"),
    (b".snd", "Sun audio"),
    (b"#!AMR", "AMR"),
    (b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"PK\x03\x04", "ZIP"),
)
# Files that name a family first, then their length, then what they are.
_FORMS = {
    (b"RIFF", b"WAVE"): "WAV",
    (b"RIFF", b"WEBP"): "WebP",
    (b"FORM", b"AIFF"): "AIFF",
    (b"FORM", b"AIFC"): "AIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"}
_OPENINGS = (
    (b"<!doctype", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b'{"', "JSON"),
    (b"{\n", "JSON"),
    (b"{ ", "JSON"),
    (b"[{", "JSON"),
)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TEXT = b"\t\n\r" + bytes(range(32, 127))
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n"

# Layer III of MPEG-1, and of MPEG-2 and 2.5, by the header's four bits.
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_RATES = ((11025, 12000, 8000), (), (22050, 24000, 16000), (44100, 48000, 32000))

_ASK_FOR_PCM = "ask the synthesiser for raw PCM, or decode it with avatarwire.audio.read"
_ADVICE = {
    "base64": "decode the base64 first",
    **dict.fromkeys(("HTML", "XML", "JSON", "text"), "it may be an error: look at the answer"),
}


def kind_of_content(head: bytes) -> str | None:
    """Return the name of what begins with these bytes, a file or text; None when unknown.

    A few hundred bytes are enough; MP3 and AAC that have no tag show by their second frame.
    """
    named = _FORMS.get((head[:4], head[8:12]))
    if named is not None:
        return named
    if head[4:8] == b"ftyp" and len(head) >= OPENING_BYTES:
        return _BRANDS.get(head[8:12], "MP4")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return _kind_of_text(head) or _kind_of_frames(head)


class Beginning:
    """Looks at how something begins that should be sound, and tells once when it is not.

    Args:
        whose: what begins, for the words.
        logger: where they go.
        advice: what to do about it; by default, what helps against a synthesiser's answer.

    Attributes:
        is_known: there is nothing left to look at.
    """

    __slots__ = ("_advice", "_head", "_logger", "_whose", "is_known")

    def __init__(self, whose: str, logger: logging.Logger, *, advice: str | None = None) -> None:
        self._whose = whose
        self._logger = logger
        self._advice = advice
        self.begin()

    def begin(self) -> None:
        """Look again: something else begins."""
        self._head = b""
        self.is_known: bool = False

    def look_at(self, pcm: bytes) -> None:
        """Look at the next piece, while it is not known what begins."""
        if self.is_known:
            return
        self._head += pcm[: ENOUGH_BYTES - len(self._head)]
        kind = kind_of_content(self._head)
        if kind is not None:
            self._logger.warning(
                "%s begins like %s, not like 16-bit samples, as which it is noise: %s",
                self._whose,
                kind,
                self._advice or _ADVICE.get(kind, _ASK_FOR_PCM),
            )
        self.is_known = kind is not None or len(self._head) >= ENOUGH_BYTES
        if self.is_known:
            self._head = b""


def _kind_of_text(head: bytes) -> str | None:
    text = head[:TEXT_BYTES].removeprefix(_BYTE_ORDER_MARK).lstrip()
    if len(text) < OPENING_BYTES or text[:OPENING_BYTES].translate(None, _TEXT):
        return None
    opening = text.lower()
    for start, kind in _OPENINGS:
        if opening.startswith(start):
            return kind
    if len(head) < TEXT_BYTES or text.translate(None, _TEXT):
        return None
    return "text" if text.translate(None, _BASE64) else "base64"


def _kind_of_frames(head: bytes) -> str | None:
    if len(head) < 6 or head[0] != 0xFF:
        return None
    kind, size_bytes = (
        ("AAC", _adts_bytes(head)) if head[1] & 0xF6 == 0xF0 else ("MP3", _mp3_bytes(head))
    )
    following = head[size_bytes : size_bytes + 2]
    if not size_bytes or len(following) < 2:
        return None
    # The lowest bit says whether a checksum follows.
    is_next = following[0] == 0xFF and following[1] | 1 == head[1] | 1
    return f"{kind} frames" if is_next else None


def _adts_bytes(head: bytes) -> int:
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5


def _mp3_bytes(head: bytes) -> int:
    """Return the length of the frame that begins here, or 0 when none of layer III does."""
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if head[1] & 0xE6 != 0xE2 or version == 1 or rate == 3:
        return 0
    samples, kbps = (1152, _KBPS_1) if version == 3 else (576, _KBPS_2)
    size_bytes = samples * 125 * kbps[head[2] >> 4] // _RATES[version][rate]
    return size_bytes and size_bytes + (head[2] >> 1 & 1)
