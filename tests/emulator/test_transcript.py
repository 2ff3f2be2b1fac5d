"""What a session leaves behind: its files, and only its own."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import connect

from avatarwire.audio import PcmFormat, read
from avatarwire.emulator import AkoolEmulator
from avatarwire.emulator.transcript import Entry, Recording, printable

MONO, STEREO = PcmFormat(16000), PcmFormat(16000, 2)
ODD_IDS = (
    "../../evil", "..", ".", "/etc/passwd", "C:\\evil", "a/b", "a\\b", "a b", "a.b", "a_b", "\0",
    "~", "é", "x" * 300, "x" * 301, "-", "-rf", "*", "%2e%2e%2f", "\n",
)  # fmt: skip


def entry(data: str | bytes = "{}") -> Entry:
    return Entry("received", "text" if isinstance(data, str) else "binary", data, 0.0)


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def said_in(path: Path) -> list[str]:
    return [json.loads(line)["data"] for line in path.read_text("utf-8").splitlines()]


def test_a_session_has_a_transcript_and_its_sound(tmp_path: Path) -> None:
    Recording(tmp_path, "s-1").write([(MONO, b"ab")], [entry("one"), entry(b"\1")])
    assert written(tmp_path) == {"s-1.wav", "s-1.jsonl"}
    assert b"".join(read(tmp_path / "s-1.wav")[0]) == b"ab"
    lines = [json.loads(line) for line in (tmp_path / "s-1.jsonl").read_text().splitlines()]
    assert lines == [
        {"time_s": 0.0, "direction": "received", "kind": "text", "data": "one"},
        {"time_s": 0.0, "direction": "received", "kind": "binary", "bytes": 1, "base64": "AQ=="},
    ]


def test_a_session_that_goes_on_replaces_its_own_files(tmp_path: Path) -> None:
    recording = Recording(tmp_path, "s")
    recording.write([(MONO, b"ab")], [entry("one")])
    recording.write([(MONO, b"abcd")], [entry("one"), entry("two")])
    assert written(tmp_path) == {"s.wav", "s.jsonl"}
    assert said_in(tmp_path / "s.jsonl") == ["one", "two"]
    assert b"".join(read(tmp_path / "s.wav")[0]) == b"abcd"


def test_sessions_of_one_id_do_not_share_a_file(tmp_path: Path) -> None:
    for number in range(12):
        Recording(tmp_path, "s").write([(MONO, bytes(2 * number))], [entry(str(number))])
    names = ["s", *(f"s.{n}" for n in range(2, 13))]
    assert written(tmp_path) == {f"{name}.{kind}" for name in names for kind in ("wav", "jsonl")}
    assert [said_in(tmp_path / f"{name}.jsonl") for name in names] == [[str(n)] for n in range(12)]


def test_the_number_of_a_format_is_not_taken_for_another_id(tmp_path: Path) -> None:
    Recording(tmp_path, "s-1").write([(MONO, b"ab")], [entry("s-1")])
    Recording(tmp_path, "s").write([(MONO, b"cd"), (STEREO, b"efgh")], [entry("s")])
    assert written(tmp_path) == {"s-1.wav", "s-1.jsonl", "s-1.2.wav", "s-2.wav", "s.jsonl"}
    assert b"".join(read(tmp_path / "s-1.wav")[0]) == b"ab"
    assert b"".join(read(tmp_path / "s-1.2.wav")[0]) == b"cd"


def test_what_somebody_else_keeps_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    (tmp_path / "theirs").write_text("mine")
    (folder / "s.jsonl").symlink_to(tmp_path / "theirs")
    (folder / "s.2.jsonl").symlink_to(tmp_path / "nothing there")
    (folder / "s.3.jsonl").mkdir()
    Recording(folder, "s").write([], [entry("new")])
    assert said_in(folder / "s.4.jsonl") == ["new"]
    assert (tmp_path / "theirs").read_text() == "mine"
    assert written(tmp_path) == {
        "theirs", "rec", "rec/s.jsonl", "rec/s.2.jsonl", "rec/s.3.jsonl", "rec/s.4.jsonl",
    }  # fmt: skip


def test_odd_ids_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    for session_id in ODD_IDS:
        Recording(folder, session_id).write([], [entry(session_id)])
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {folder}
    assert sorted(said_in(path)[0] for path in files) == sorted(ODD_IDS)


def test_a_folder_that_is_gone_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Recording(tmp_path / "gone", "s").write([], [entry()])
    assert "session s was not recorded" in caplog.text


async def converse(emulator: AkoolEmulator, session_id: str, avatar_id: str) -> None:
    query = urlencode({"session_id": session_id, "avatar_id": avatar_id})
    url = f"{emulator.server_url.replace('http', 'ws')}/streamingAvatar/ws/v1?{query}"
    async with connect(url, proxy=None) as socket:
        await socket.send(json.dumps({"type": "hello", "from": [session_id, avatar_id]}))
        await socket.recv()


async def test_clients_that_choose_their_ids_do_not_share_a_file(tmp_path: Path) -> None:
    visits = [("s", "a"), ("s", "b"), *((session_id, "a") for session_id in ODD_IDS)]
    async with AkoolEmulator(record_dir=tmp_path / "rec") as emulator:
        await asyncio.gather(*(converse(emulator, *visit) for visit in visits))
        for session in emulator.sessions:
            await session.wait_closed()
    async with AkoolEmulator(record_dir=tmp_path / "rec") as emulator:
        await converse(emulator, "s", "a")
        await emulator.sessions[0].wait_closed()
        await converse(emulator, "s", "a")
    assert {name.partition("/")[0] for name in written(tmp_path)} == {"rec"}
    heard = []
    for path in [tmp_path / name for name in written(tmp_path) if name != "rec"]:
        messages = [json.loads(data) for data in said_in(path)]
        heard.append([message["from"] for message in messages if message["type"] == "hello"])
    once = [[list(visit)] for visit in visits]
    assert sorted(heard) == sorted([*once, [["s", "a"]] * 2])


def test_a_clients_words_fit_a_line() -> None:
    assert printable("session.ready") == "session.ready"
    assert printable("odd\nname") == "'odd\\nname'"
    assert printable("x" * 65) == f"'{'x' * 64}'"
    assert printable("\udc80").encode() == b"'\\udc80'"
