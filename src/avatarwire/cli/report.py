"""What a stream came to, for people and for machines."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from avatarwire.audio import PcmFormat
from avatarwire.emulator import Turn
from avatarwire.streaming import Lateness, Playout

__all__ = ["Report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one streamed file.

    Attributes:
        name: the file, as the user named it.
        platform: its URL.
        written: the file's format.
        sent: the format that the platform got.
        sent_pcm: the PCM that was sent.
        frame_ms: the length of a frame, or of a message's sound, in milliseconds.
        received_pcm: the PCM that the local platform got; None when another one was used.
        turn: the turn as the local platform heard it; None when it does not tell.
        playout: what became of the turn.
        lateness: how long after its deadline each write was; None when there were no deadlines.
        interrupt_after_s: when the turn was to be interrupted; None: it was not.
        cpu_s: CPU time of the agent's thread while streaming, in seconds.
    """

    name: str
    platform: str
    written: PcmFormat
    sent: PcmFormat
    sent_pcm: bytes
    frame_ms: int
    received_pcm: bytes | None
    turn: Turn | None
    playout: Playout
    lateness: Lateness | None
    interrupt_after_s: float | None
    cpu_s: float

    @property
    def audio_s(self) -> float:
        """Seconds of sound in the file."""
        return self.playout.written_ms / 1000

    @property
    def frames(self) -> int:
        """Audio frames sent."""
        return math.ceil(self.playout.sent_ms / self.frame_ms - 1e-9)

    @property
    def identical(self) -> bool | None:
        """Whether what arrived is what was sent, byte for byte; None when it cannot be known."""
        return None if self.received_pcm is None else self.received_pcm == self.sent_pcm

    @property
    def cpu_ms_per_audio_s(self) -> float:
        """Milliseconds of CPU time for each second of sound."""
        return self.cpu_s * 1000 / max(self.playout.sent_ms / 1000, 0.001)

    def as_json(self) -> str:
        """Return the report as one JSON object."""
        values: dict[str, Any] = {
            "file": self.name,
            "platform": self.platform,
            "sample_rate": self.written.sample_rate,
            "channels": self.written.channels,
            "sent_sample_rate": self.sent.sample_rate,
            "frames": self.frames,
            "audio_s": round(self.audio_s, 3),
            "playout": {
                "reason": self.playout.reason,
                "written_ms": round(self.playout.written_ms, 3),
                "sent_ms": round(self.playout.sent_ms, 3),
                "dropped_ms": round(self.playout.dropped_ms, 3),
                "played_ms": round(self.playout.played_ms, 3),
            },
            "lateness_ms": None,
            "cpu_ms_per_audio_s": round(self.cpu_ms_per_audio_s, 3),
            "sent_sha256": _sha256(self.sent_pcm),
            "received_sha256": None,
            "identical": self.identical,
        }
        if self.lateness is not None:
            values["lateness_ms"] = {
                "p50": round(self.lateness.percentile_ms(50), 3),
                "p99": round(self.lateness.percentile_ms(99), 3),
                "max": round(self.lateness.max_ms, 3),
            }
        if self.received_pcm is not None:
            values["received_sha256"] = _sha256(self.received_pcm)
        if self.turn is not None:
            values["platform_heard"] = {
                "underruns": self.turn.underruns,
                "underrun_ms": round(self.turn.underrun_ms, 3),
                "stale_frames": self.turn.stale_frames,
                "drift_ms": round(self.turn.drift_ms, 3),
            }
        return json.dumps(values, indent=2)

    def show(self, console: Console) -> None:
        """Print the report as a short table."""
        rows: list[tuple[str, str | Text]] = [
            ("platform", self.platform if self.received_pcm is None else "on this machine"),
            ("frames", f"{self.frames}"),
            ("audio", self._audio()),
            ("outcome", self._outcome()),
        ]
        if self.lateness is not None:
            rows.append(("lateness", self._lateness(self.lateness)))
        rows.append(("CPU", f"{self.cpu_ms_per_audio_s:.1f} ms per second of audio"))
        if self.turn is not None:
            rows.append(("platform heard", self._heard(self.turn)))
        rows.append(("PCM received", self._verdict()))
        # Not one of rich's tables: they fill each line up with spaces, which stay in a pipe.
        width = max(len(name) for name, _ in rows) + 3
        for name, value in rows:
            console.print(Text.assemble((name.ljust(width), "dim"), value), soft_wrap=True)

    def _audio(self) -> str:
        sent = "" if self.sent == self.written else f", sent as {self.sent}"
        return f"{self.audio_s:.2f} s, {self.written}{sent}"

    def _outcome(self) -> str:
        playout = self.playout
        if playout.reason == "completed":
            if self.interrupt_after_s is None:
                return "completed"
            return f"completed, before the interrupt after {self.interrupt_after_s:g} s"
        sent = (
            f"{playout.reason.replace('_', ' ')}: {playout.sent_ms / 1000:.2f} s sent, "
            f"{playout.dropped_ms / 1000:.2f} s dropped, "
        )
        if playout.reason == "timed_out":
            return sent + "not known to have been played"
        return sent + f"{playout.played_ms / 1000:.2f} s played"

    def _lateness(self, lateness: Lateness) -> str:
        return (
            f"p50 {lateness.percentile_ms(50):.1f} ms, "
            f"p99 {lateness.percentile_ms(99):.1f} ms, "
            f"max {lateness.max_ms:.1f} ms"
        )

    def _heard(self, turn: Turn) -> str:
        return (
            f"{turn.underruns} underruns ({turn.underrun_ms:.0f} ms), "
            f"{turn.stale_frames} stale frames, drift {turn.drift_ms:+.0f} ms"
        )

    def _verdict(self) -> Text:
        received = self.received_pcm
        if received is None:
            return Text("not compared: only the local platform gives it back")
        if received == self.sent_pcm:
            verdict = Text("identical", style="bold green")
            return verdict.append(f" (SHA-256 {_sha256(received)[:12]}…)", style="not bold dim")
        verdict = Text("DIFFERENT", style="bold red")
        return verdict.append(f" ({len(received)} bytes of {len(self.sent_pcm)})", style="default")


def _sha256(pcm: bytes) -> str:
    return hashlib.sha256(pcm).hexdigest()
