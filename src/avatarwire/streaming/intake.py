"""What is written to a turn, on its way to the queue: looked at, converted and counted."""

import logging
from typing import TYPE_CHECKING, Protocol

from avatarwire.audio import Beginning, PcmFormat

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Converter", "Intake"]

logger: logging.Logger = logging.getLogger("avatarwire.streaming")


class Converter(Protocol):
    """Turns sound of the format written into sound of the format sent, across any pieces."""

    def push(self, pcm: "Buffer") -> bytes:
        """Take sound in; return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return what is left."""
        ...


class Intake:
    """Takes what is written to one turn, and knows how much that is.

    Args:
        written: format of what is written.
        sent: format of what the platform gets.
        converter: between the two; None when they are the same.
        name: what the log calls the turn.
    """

    __slots__ = (
        "_beginning",
        "_converter",
        "_end_bytes",
        "_given_bytes",
        "_name",
        "_sent",
        "_taken_bytes",
        "_written",
    )

    def __init__(
        self, written: PcmFormat, sent: PcmFormat, converter: Converter | None, name: str
    ) -> None:
        self._written = written
        self._sent = sent
        self._converter = converter
        self._name = name
        self._beginning = Beginning(name, logger)
        self._given_bytes = 0  # to the queue, in the format sent
        self._taken_bytes = 0  # in the format written, what comes in vain after the end included
        self._end_bytes: int | None = None  # of it, up to the end

    def take(self, pcm: bytes) -> bytes:
        """Return what of the sound so far is ready to be queued."""
        self.count(pcm)
        if self._converter is not None:
            pcm = self._converter.push(pcm)
        self._given_bytes += len(pcm)
        return pcm

    def count(self, pcm: bytes) -> None:
        """Count what is written to a turn that is over."""
        if not self._beginning.is_known:
            self._beginning.look_at(pcm)
        self._taken_bytes += len(pcm)

    def finish(self) -> bytes:
        """Return what the converter holds; what is no whole sample is dropped, and told."""
        odd_bytes = self._taken_bytes % self._written.frame_bytes
        if odd_bytes:
            logger.warning(
                "%s: the last %d byte(s) written are no whole sample of %s: dropped",
                self._name,
                odd_bytes,
                self._written,
            )
        rest = b"" if self._converter is None else self._converter.flush()
        self._given_bytes += len(rest)
        self._end_bytes = self._taken_bytes
        return rest

    @property
    def samples(self) -> int:
        """What was written, as samples of the format sent; half a sample is none."""
        groups = (self._taken_bytes - (self._end_bytes or 0)) // self._written.frame_bytes
        if self._converter is not None:
            groups = round(groups * self._sent.sample_rate / self._written.sample_rate)
        if self._end_bytes is not None:
            # From here on it is known, and no longer computed: conversion rounds.
            groups += self._given_bytes // self._sent.frame_bytes
        return groups

    @property
    def whole_bytes(self) -> int:
        """What was written up to the end, in the format written, without half a sample."""
        taken_bytes = self._taken_bytes if self._end_bytes is None else self._end_bytes
        return taken_bytes - taken_bytes % self._written.frame_bytes
