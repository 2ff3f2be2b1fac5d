"""What a stream came to, for people and for machines."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from avatarwire.audio import PcmFormat

__all__ = ["Report", "percentile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one streamed file.

    Attributes:
        name: the file, as the user named it.
        platform: its base URL.
        format: the file's format.
        sent: the PCM that was handed to the agent.
        received: the PCM that the platform got; None when it does not say.
        lateness_ms: for each frame, how long after its deadline it was written.
        cpu_s: CPU time of the agent's thread while streaming, in seconds.
    """

    name: str
    platform: str
    format: PcmFormat
    sent: bytes
    received: bytes | None
    lateness_ms: Sequence[float]
    cpu_s: float

    @property
    def audio_s(self) -> float:
        """Seconds of sound."""
        return self.format.ms(len(self.sent)) / 1000

    @property
    def identical(self) -> bool | None:
        """Whether what arrived is what was sent, byte for byte; None when it cannot be known."""
        return None if self.received is None else _sha256(self.received) == _sha256(self.sent)

    @property
    def cpu_ms_per_audio_s(self) -> float:
        """Milliseconds of CPU time for each second of sound."""
        return self.cpu_s * 1000 / self.audio_s

    def as_json(self) -> str:
        """Give the report as one JSON object."""
        values: dict[str, Any] = {
            "file": self.name,
            "platform": self.platform,
            "sample_rate": self.format.sample_rate,
            "channels": self.format.channels,
            "frames": len(self.lateness_ms),
            "audio_s": round(self.audio_s, 3),
            "lateness_ms": {
                "p50": round(percentile(self.lateness_ms, 50), 3),
                "p99": round(percentile(self.lateness_ms, 99), 3),
                "max": round(max(self.lateness_ms), 3),
            },
            "cpu_ms_per_audio_s": round(self.cpu_ms_per_audio_s, 3),
            "sent_sha256": _sha256(self.sent),
            "received_sha256": None if self.received is None else _sha256(self.received),
            "identical": self.identical,
        }
        return json.dumps(values, indent=2)

    def show(self, console: Console) -> None:
        """Print the report as a short table."""
        table = Table.grid(padding=(0, 3))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("platform", self.platform if self.received is None else "on this machine")
        table.add_row("frames", f"{len(self.lateness_ms)}")
        table.add_row("audio", f"{self.audio_s:.2f} s, {self.format}")
        table.add_row(
            "frame lateness",
            f"p50 {percentile(self.lateness_ms, 50):.2f} ms, "
            f"p99 {percentile(self.lateness_ms, 99):.2f} ms, "
            f"max {max(self.lateness_ms):.2f} ms",
        )
        table.add_row("CPU", f"{self.cpu_ms_per_audio_s:.1f} ms per second of audio")
        table.add_row("PCM received", self._verdict())
        console.print(table, highlight=False)

    def _verdict(self) -> Text:
        if self.received is None:
            return Text("not compared: only the local platform gives it back")
        if self.identical:
            verdict = Text("identical", style="bold green")
            return verdict.append(f" (SHA-256 {_sha256(self.sent)[:12]}…)", style="not bold dim")
        verdict = Text("DIFFERENT", style="bold red")
        return verdict.append(f" ({len(self.received)} bytes of {len(self.sent)})", style="default")


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the smallest value that ``percent`` of all values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def _sha256(pcm: bytes) -> str:
    return hashlib.sha256(pcm).hexdigest()
