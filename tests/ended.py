"""A process that does not outlive a test that fails."""

import subprocess
from types import TracebackType


class Ended(subprocess.Popen):
    """Waits at its end as ``Popen`` does, but for a process that nobody has told to end."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.kill()
        super().__exit__(exc_type, value, traceback)
