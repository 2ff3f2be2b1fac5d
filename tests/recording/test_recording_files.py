"""The folder of a recording: open while it grows, never longer than was allowed."""

import json
import os
from pathlib import Path

import pytest
from sources import MONO

from avatarwire.recording.files import Folder, Room, create, safe_name
from avatarwire.recording.heard import Piece

ENDED = {"t": 2.0, "ts": 2.0, "kind": "life", "change": "ended", "code": 1006}
CONNECTED = {"t": 3.0, "ts": 3.0, "kind": "life", "change": "connected"}


def open_files(folder):
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]  # noqa: PTH208
    targets = [os.readlink(link) for link in links if link.is_symlink()]  # noqa: PTH115
    return sorted(Path(target).name for target in targets if target.startswith(str(folder)))


def lines(path):
    return [json.loads(line) for line in (path / "timeline.jsonl").read_bytes().splitlines()]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
def test_files_are_open_only_while_they_grow(tmp_path):
    folder = Folder(tmp_path, Room(10**6))
    folder.record(CONNECTED)
    folder.sound("sent", b"abcd", MONO)
    folder.flush()
    assert open_files(tmp_path) == ["sent.wav", "timeline.jsonl"]
    for _ in range(2):
        folder.flush()
        assert open_files(tmp_path) == []
    assert folder.sound("sent", b"efgh", MONO) == ("sent", 2)
    folder.record(ENDED)
    folder.flush()
    assert open_files(tmp_path) == ["sent.wav", "timeline.jsonl"]
    folder.close(9.0)
    assert open_files(tmp_path) == []
    assert (tmp_path / "sent.wav").read_bytes()[44:] == b"abcdefgh"
    assert lines(tmp_path) == [CONNECTED, ENDED]


@pytest.mark.parametrize(("last", "length_s"), [(ENDED, 2), (CONNECTED, 9)])
def test_what_was_heard_lasts_to_the_end_of_the_session_or_of_the_recording(
    tmp_path, last, length_s
):
    folder = Folder(tmp_path, Room(10**6))
    folder.heard(Piece(0, b"abcd"), MONO)
    folder.record(ENDED)
    folder.record(last)
    folder.flush()
    folder.close(9.0)
    assert (tmp_path / "heard.wav").stat().st_size == 44 + length_s * 2 * MONO.sample_rate


def test_room_is_shared_and_each_says_that_it_is_full(tmp_path, caplog):
    room = Room(200)
    folders = [Folder(tmp_path / name, room) for name in "ab"]
    for _ in range(2):
        for folder in folders:
            folder.record(CONNECTED)
            assert folder.sound("sent", bytes(100), MONO) is None or not room.is_full
    for folder in folders:
        folder.close(9.0)
    assert room.is_full
    assert [lines(tmp_path / name)[-1]["change"] for name in "ab"] == ["full", "full"]
    assert len([line for line in caplog.records if "its 200 bytes" in line.message]) == 2
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 200 + 44 * 2 + 2 * 60


@pytest.mark.parametrize("name", ["../../evil", "..", ".", "/etc/passwd", "a\0b", "x" * 300, ""])
def test_a_name_leads_nowhere_else_and_no_folder_is_made_twice(tmp_path, name):
    made = [create(tmp_path, safe_name(name), Path.mkdir) for _ in range(3)]
    assert len(set(made)) == 3
    assert {path.parent.resolve() for path in made} == {tmp_path.resolve()}
    assert all(path.is_dir() for path in made)
