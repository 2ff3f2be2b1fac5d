"""Standard output and error that take whatever is written, or say in one line why not."""

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import TextIO, cast

__all__ = ["OutputError", "shown", "standard_streams"]

#: Control characters, halves of a surrogate pair, and what breaks a line.
_NOT_SHOWN = {"Cc", "Cs", "Zl", "Zp"}


class OutputError(Exception):
    """Standard output cannot be written; the text says why.

    No OSError, which would pass for a trouble with a file or the network.
    """


class _Stream:
    """A text stream that puts something in the place of what its encoding lacks.

    It has no ``buffer``: click would write UTF-8 through it where the encoding is ASCII. Once it
    has failed it fails for good, since whoever writes may pass over an error.
    """

    def __init__(self, stream: TextIO, errors: str) -> None:
        self._stream = stream
        self._failure: OSError | None = None
        self.encoding: str = stream.encoding or "utf-8"
        self.errors: str = errors

    def write(self, text: str) -> int:
        written = text.encode(self.encoding, self.errors).decode(self.encoding)
        if written:
            self._do(lambda: self._stream.write(written))
        return len(text)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def _do(self, act: Callable[[], object]) -> None:
        if self._failure is None:
            try:
                act()
            except OSError as exc:
                self._failure = exc
                self._discard()
        if self._failure is not None:
            self._tell(self._failure)

    def _tell(self, failure: OSError) -> None:
        raise OutputError(f"cannot write the output: {failure.strerror or failure}") from failure

    def _discard(self) -> None:
        # What is left in the buffer would fail again, in a traceback, when the interpreter ends.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class _ErrorStream(_Stream):
    """Standard error. When it fails nothing is raised, since nobody is left to tell."""

    def _tell(self, failure: OSError) -> None:
        pass


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Make ``sys.stdout`` and ``sys.stderr`` take any text, whatever the encoding.

    Writing to the first raises ``OutputError`` when it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        # They are None where a process was started without them.
        if sys.stdout is not None:
            out = cast("TextIO", _Stream(sys.stdout, "replace"))
            stack.enter_context(contextlib.redirect_stdout(out))
        if sys.stderr is not None:
            err = cast("TextIO", _ErrorStream(sys.stderr, "backslashreplace"))
            stack.enter_context(contextlib.redirect_stderr(err))
        yield


def shown(words: str) -> str:
    """Return words, such as a file's name, as one line that a terminal can show."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _NOT_SHOWN else char
        for char in words
    )
