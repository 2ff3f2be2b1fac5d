import asyncio
import json
import shlex
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from commands import COMMAND, WITHOUT_SETTINGS, run_command

from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.app import run
from avatarwire.cli.job import ReceivedSpeech

PCM = bytes(range(256)) * 38  # 203 ms at 24 kHz: five frames and a short one


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    write_wav(path, PCM, PcmFormat(24000))
    return path


async def stream(*args: object, **environment: str) -> tuple[int | None, str, str]:
    return await run_command("stream", *args, **environment)


async def test_one_command_hears_back_what_it_sent(sound: Path, tmp_path: Path) -> None:
    code, output, errors = await stream(sound, "--save", tmp_path / "out.wav")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "platform",
        "frames",
        "audio",
        "outcome",
        "lateness",
        "CPU",
        "platform",
        "PCM",
    ]
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[1].split() == ["frames", "6"]
    assert "0.20 s, 24000 Hz mono" in lines[2]
    assert lines[3].split() == ["outcome", "completed"]
    assert "identical" in lines[7]
    assert b"".join(read(tmp_path / "out.wav")[0]) == PCM


async def pipe(data: bytes, command: str) -> tuple[int | None, str, str]:
    """Run a shell's command with this at the other end of a pipe; ``$AW`` is ours."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command),
        env=WITHOUT_SETTINGS | {"AW": shlex.join(COMMAND)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(data), 30)
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize(
    "command",
    [
        "$AW stream - --no-pace --json",
        "cat | $AW stream /dev/stdin --no-pace --json",
        "exec 3<&0; $AW stream <(cat <&3) --no-pace --json",
    ],
)
@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
async def test_sound_from_a_pipe(sound: Path, kind: str, command: str) -> None:
    if kind != "wav":
        sound = encoded(sound, kind)
    code, output, errors = await pipe(sound.read_bytes(), command)
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert (figures["identical"], figures["sample_rate"]) == (True, 24000)
    assert figures["audio_s"] == pytest.approx(0.203, abs=0.1)


async def test_a_file_for_standard_input(sound: Path) -> None:
    code, output, errors = await pipe(b"", f"$AW stream - --no-pace --json < {sound}")
    assert (code, errors) == (0, "")
    assert json.loads(output)["file"] == "-"
    code, _, errors = await pipe(b"", f"$AW stream - --no-pace < {sound}")
    assert (code, errors) == (0, "")


async def test_raw_pcm_from_a_pipe() -> None:
    code, output, errors = await pipe(PCM, "$AW stream - --raw 22050 --no-pace --json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert (figures["sample_rate"], figures["sent_sample_rate"]) == (22050, 24000)
    assert figures["audio_s"] == pytest.approx(len(PCM) / 44100, abs=0.001)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (b"", "", "an empty file"),
        (b"no sound at all", "", "not sound that can be read"),
        (b"RIFF", "", "not sound"),
        (b"odd", "--raw 16000", "3 bytes are not 16-bit samples"),
    ],
)
async def test_a_pipe_without_sound_is_one_line(data: bytes, options: str, words: str) -> None:
    code, output, errors = await pipe(data, f"$AW stream - {options}")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors


def encoded(wav: Path, kind: str) -> Path:
    path = wav.with_suffix(f".{kind}")
    chunks, format_ = read(wav)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind, rate=format_.sample_rate, layout="mono")
        samples = np.frombuffer(b"".join(chunks), "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate = format_.sample_rate
        for part in (*av.AudioResampler(stream.format, "mono", 24000).resample(frame), None):
            container.mux(stream.encode(part))
    return path


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
@pytest.mark.parametrize("file", ["-", "/dev/stdin"])
async def test_a_pipe_is_streamed(file: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("stream", file, "--no-pace", "--json"),
        env=WITHOUT_SETTINGS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, 24000, 48000, 2, 16)
    header = b"RIFF\xff\xff\xff\xffWAVEfmt " + fmt + b"data\xff\xff\xff\xff"
    output, errors = await asyncio.wait_for(process.communicate(header + PCM), 30)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(output)["identical"] is True


@pytest.mark.parametrize(
    ("rate", "channels", "sent_rate"), [(16000, 1, 16000), (48000, 2, 48000), (22050, 1, 24000)]
)
async def test_json_is_all_there_is(
    tmp_path: Path, rate: int, channels: int, sent_rate: int
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM, PcmFormat(rate, channels))
    code, output, errors = await stream(path, "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert figures["identical"] is True
    assert (figures["sample_rate"], figures["channels"]) == (rate, channels)
    assert figures["sent_sample_rate"] == sent_rate
    seconds = len(PCM) / (rate * channels * 2)
    assert figures["audio_s"] == pytest.approx(seconds, abs=0.001)
    assert figures["frames"] == -(-round(seconds * sent_rate) // (sent_rate // 25))
    assert figures["playout"]["reason"] == "completed"
    assert figures["platform_heard"]["stale_frames"] == 0


async def test_an_interrupt_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 30, PcmFormat(24000))
    code, output, errors = await stream(path, "--interrupt-after", "0.5", "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    playout = figures["playout"]
    assert playout["reason"] == "interrupted"
    assert playout["written_ms"] == pytest.approx(playout["sent_ms"] + playout["dropped_ms"])
    assert playout["dropped_ms"] > 1000
    assert figures["platform_heard"]["stale_frames"] == 0
    assert figures["identical"] is True


async def test_an_interrupt_that_comes_too_late_is_told(sound: Path) -> None:
    code, output, errors = await stream(sound, "--interrupt-after", "100", "--no-pace")
    assert (code, errors) == (0, "")
    assert "outcome          completed, before the interrupt after 100 s\n" in output
    assert "lateness" not in output  # nothing had a deadline


async def test_without_pace_and_with_a_lead(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 8, PcmFormat(24000))
    drift_ms = []
    for options in (["--no-pace"], ["--lead-ms", "200"]):
        code, output, errors = await stream(path, *options, "--json")
        assert (code, errors) == (0, "")
        drift_ms.append(json.loads(output)["platform_heard"]["drift_ms"])
    # 1.6 s of sound: all of it at once, and never more than the lead ahead.
    assert drift_ms[0] < -400
    assert drift_ms[1] > -220


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "http://x", "--avatar-id", "a"], "set AVATARWIRE_API_KEY or --api-key"),
        (["--url", "http://x", "--api-key", "k"], "set AVATARWIRE_AVATAR_ID or --avatar-id"),
        (
            ["--url", "http://x", "--api-key", "k", "--avatar-id", "a", "--save", "o.wav"],
            "--save works with the local platform only",
        ),
        (["--url", "no-url", "--api-key", "k", "--avatar-id", "a"], "--url must be an http://"),
        (
            ["--url", "http://x"],
            "set AVATARWIRE_API_KEY or --api-key; AVATARWIRE_AVATAR_ID or --avatar-id.",
        ),
        (["--api-key", "k"], "without --url there is no use for --api-key: name a platform"),
        (["--api-key", "k", "--avatar-id", "a"], "no use for --api-key, --avatar-id"),
        (["--lead-ms", "nan"], "'--lead-ms': nan is not a finite number"),
        (["--interrupt-after", "nan"], "'--interrupt-after': nan is not a finite number"),
        (["--interrupt-after", "inf"], "'--interrupt-after': inf is not a finite number"),
        (["--no-pace", "--lead-ms", "200"], "with --no-pace there is no use for --lead-ms"),
        (["--env", "prod"], "with --platform liveavatar there is no use for --env"),
        (["--agora-uid", "7"], "add --platform akool, or leave this out"),
        (["--nonsense"], "No such option"),
        (["--raw", "1"], "4000<=x<=192000"),
    ],
)
def test_wrong_use_is_one_line(
    sound: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stream", str(sound), *options]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith("avatarwire: ")
    assert words in errors
    assert errors.endswith("See: avatarwire stream --help\n")


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stream", "none.wav"]) == 2
    assert "File 'none.wav' does not exist" in capsys.readouterr().err


def test_what_is_no_sound_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound at all")
    assert run(["stream", str(path)]) == 1
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert "a.wav" in errors


async def test_a_result_that_cannot_be_saved_is_one_line(sound: Path, tmp_path: Path) -> None:
    target = tmp_path / "none" / "out.wav"
    code, _, errors = await stream(sound, "--save", target)
    assert code == 1
    assert errors == f"avatarwire: cannot write {target}: its folder does not exist\n"


async def test_an_account_of_the_environment_waits_for_a_url(sound: Path) -> None:
    environment = {"AVATARWIRE_API_KEY": "sk-test", "AVATARWIRE_AVATAR_ID": "ava"}
    code, _, errors = await stream(sound, "--no-pace", **environment)
    assert (code, errors) == (0, "")


async def test_other_pcm_than_was_sent_is_a_failure(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "avatarwire.cli.platforms.liveavatar_job.LiveAvatarJob.received",
        lambda self: ReceivedSpeech(b"other!", None),
    )
    assert await asyncio.to_thread(run, ["stream", str(sound)]) == 1
    output, errors = capsys.readouterr()
    assert "DIFFERENT (6 bytes of 9728)" in output
    assert errors == "avatarwire: the platform received other PCM than the file holds\n"


def test_ctrl_c_ends_quietly(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(work: object) -> None:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("avatarwire.cli.ending.asyncio.run", interrupt)
    options = ["--url", "http://x", "--api-key", "k", "--avatar-id", "a"]
    assert run(["stream", str(sound), *options]) == 130
    assert capsys.readouterr() == ("", "")
