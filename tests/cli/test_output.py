"""The command's output in any encoding, where nothing can be written, and for any file name."""

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from commands import COMMAND, WITHOUT_SETTINGS
from ended import Ended

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.app import run
from avatarwire.cli.output import OutputError, shown, standard_streams

PCM = bytes(9600)
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
NO_SPACE = b"avatarwire: cannot write the output: No space left on device\n"


@pytest.fixture
def sound(tmp_path: Path) -> str:
    write_wav(tmp_path / "a.wav", PCM, PcmFormat(24000))
    return str(tmp_path / "a.wav")


def words(command: str, sound: str) -> list[str]:
    return [sound if word == "FILE" else word for word in command.split()]


def execute(
    args: list[str], stdout: int | io.IOBase = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *args],
        env=WITHOUT_SETTINGS | environment,
        stdout=stdout,  # type: ignore[arg-type]
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp437"},
        {"PYTHONIOENCODING": "utf-16"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_an_encoding_lacks_is_replaced(sound: str, environment: dict[str, str]) -> None:
    done = execute(words("stream FILE --no-pace", sound), **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    *_, last = done.stdout.decode(encoding).rstrip().splitlines()
    assert last.startswith("PCM received     identical (SHA-256 ")
    assert last.removesuffix(")")[-1] in ("?" if encoding not in {"utf-8", "utf-16"} else "…", "?")


@pytest.mark.parametrize(
    "command", ["doctor --platform akool --url http://x --api-key k", "nosuch é"]
)
def test_every_line_keeps_to_the_encoding(command: str) -> None:
    done = execute(command.split(), PYTHONIOENCODING="ascii")
    assert (done.stdout + done.stderr).decode("ascii")
    assert b"Traceback" not in done.stderr


@needs_full
@pytest.mark.parametrize(
    "command",
    [
        "--version",
        "--help",
        "stream --help",
        "doctor",
        "stream FILE --no-pace",
        "stream FILE --no-pace --json",
        "serve liveavatar --port 0",
        "serve akool --port 0",
    ],
)
def test_a_full_disk_is_one_line(sound: str, command: str) -> None:
    with FULL.open("wb") as full:
        done = execute(words(command, sound), stdout=full)
    assert (done.returncode, done.stderr) == (1, NO_SPACE)


@pytest.mark.parametrize(
    "command", ["--help", "doctor", "stream FILE --no-pace", "serve akool --port 0"]
)
def test_a_closed_pipe_is_one_line(sound: str, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = execute(words(command, sound), stdout=writer)
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b"avatarwire: cannot write the output: Broken pipe\n"


def test_a_log_that_nobody_reads_ends_the_platform(tmp_path: Path) -> None:
    recordings = tmp_path / "rec"
    with Ended(
        [*COMMAND, "serve", "liveavatar", "--port", "0", "--fault", "refuse-start=503"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        lines = iter(server.stdout.readline, "\n")
        url = next(lines).split()[4]
        list(lines)  # up to the empty line before the log
        server.stdout.close()
        httpx.post(f"{url}/v1/session/start", json={}, trust_env=False)  # which is logged
        errors = server.stderr.read()
    assert (server.returncode, recordings.exists()) == (1, False)
    assert errors == "avatarwire: cannot write the output: Broken pipe\n"


@needs_full
def test_without_an_ear_for_errors_the_exit_code_stays(sound: str) -> None:
    command = 'exec "$@" 2>/dev/full'
    done = subprocess.run(["/bin/sh", "-c", command, "sh", *COMMAND, "nonsense"], check=False)
    assert done.returncode == 2
    command = 'exec "$@" >/dev/full 2>/dev/full'
    done = subprocess.run(["/bin/sh", "-c", command, "sh", *COMMAND, "--version"], check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "2>&-"])
def test_without_standard_streams_it_works(sound: str, streams: str) -> None:
    args = words("stream FILE --no-pace", sound)
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *args],
        env=WITHOUT_SETTINGS,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "name",
    [
        "\udcff\udcfe.wav",
        "two\nlines.wav",
        "[bold]x[red].wav",
        "é…漢🎈.wav",
        "\x1b[31m.wav",
        "-x.wav",
    ],
)
def test_any_file_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_wav(path, PCM, PcmFormat(24000))
    for options in (["--no-pace"], ["--no-pace", "--json"]):
        done = execute(["stream", str(path), *options], PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, b"")
    shown_name = json.loads(done.stdout)["file"]
    assert shown_name == str(path).encode(errors="surrogateescape").decode(errors="replace")

    path.write_bytes(b"no sound")
    done = execute(["stream", str(path)], PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert b"\x1b" not in done.stderr
    path.unlink()
    done = execute(["stream", str(path)], PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


@pytest.mark.parametrize("name", ["\udcff", "two\nlines", "[x]\x1b[31m"])
def test_any_folder_of_recordings(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    with Ended(
        [*COMMAND, "serve", "liveavatar", "--port", "0", "--record", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        output, errors = server.stdout.read(), server.stderr.read()
    assert (server.returncode, errors, folder.is_dir()) == (0, b"", True)
    assert output.endswith(b"\nEnded after 0 sessions\n")


@pytest.mark.parametrize("name", ["[red]\nnext.wav", "\udcff.wav"])
def test_the_progress_bar_shows_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    write_wav(tmp_path / name, PCM, PcmFormat(24000))
    assert run(["stream", str(tmp_path / name)]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert shown(name) in output.replace("?", "\N{REPLACEMENT CHARACTER}")
    assert " of 0.2 s" in output


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_stream_that_has_failed_fails_for_good() -> None:
    with contextlib.redirect_stdout(Broken()), standard_streams():
        for _ in range(2):
            with pytest.raises(OutputError, match="No space left on device"):
                sys.stdout.write("words")
        with pytest.raises(OutputError):
            sys.stdout.flush()
    with contextlib.redirect_stderr(Broken()), standard_streams():
        sys.stderr.write("words")


def test_one_line_that_a_terminal_can_show() -> None:
    assert shown("a\nb\x1b\udcff\u2028é…\u202f漢") == "a\ufffdb\ufffd\ufffd\ufffdé…\u202f漢"


async def test_a_signal_outlives_an_output_that_is_gone(tmp_path: Path) -> None:
    """A terminal that is closed takes its output along: the code is still the signal's."""
    write_wav(tmp_path / "a.wav", PCM * 100, PcmFormat(24000))
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "akool", "--port", "0", stdout=writer, stderr=writer
    )
    os.close(writer)

    def read_until_it_serves() -> None:
        with os.fdopen(reader, "rb") as output:  # closed before the signal is sent
            while output.readline() not in {b"\n", b""}:
                pass

    await asyncio.to_thread(read_until_it_serves)
    process.send_signal(signal.SIGHUP)
    assert await asyncio.wait_for(process.wait(), 20) == 129
