"""What the codes in an audio frame's header mean (protocol section 5)."""

__all__ = ["FRAME_RATES", "OPUS", "PCM"]

#: What the ``sample_rate`` field says, in Hz, by its value; others have no meaning.
FRAME_RATES = (16000, 24000, 48000)
#: Values of the ``codec`` field.
PCM, OPUS = 0, 1
