"""Writes the messages that the fuzzer starts from: each kind as it should be, and its edges."""

from pathlib import Path

from avatarwire.codec import AudioFrame, ExternalAudioFrame, ImageFrame, PcmFramer

CORPUS = Path(__file__).with_name("corpus")
SOUND = bytes(range(96))


def messages() -> dict[str, bytes]:
    """Return the messages by name."""
    framed = PcmFramer(frame_ms=1, seq=4095, timestamp=1_048_575).frames(SOUND)
    return {
        "audio": AudioFrame(key=1, seq=7, timestamp=280, samples=16, payload=SOUND[:32]).pack(),
        "audio-stereo": AudioFrame(
            channel=1, sample_rate=2, samples=16, codec=1, payload=SOUND[:64]
        ).pack(),
        "audio-empty": AudioFrame().pack(),
        "audio-framed": framed[0],
        "image": ImageFrame(1, 85, 7, 640, 480, b"\x89PNG\r\n\x1a\n" + SOUND).pack(),
        "image-empty": ImageFrame(4).pack(),
        "external": ExternalAudioFrame(1, 0, SOUND).pack(),
        "external-edge": ExternalAudioFrame(2**64 - 1, -(2**63), SOUND[:2]).pack(),
        "sound": SOUND,
        "empty": b"",
    }


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for name, message in messages().items():
        (CORPUS / f"{name}.bin").write_bytes(message)
