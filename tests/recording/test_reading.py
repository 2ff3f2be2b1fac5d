import json

import pytest
from recordings import conversation, made

from avatarwire.recording import Recording, RecordingError


def test_messages_are_what_was_on_the_wire_but_for_tokens(tmp_path):
    recording = made(tmp_path, conversation)
    hello, typed, first, second, users, state = recording.messages()
    assert json.loads(recording.message(hello)) == {"name": "hello", "token": "***", "id": "abc"}
    assert recording.message(first) == b"\x01\x02" + b"\xe8\x03" * 500
    assert recording.message(second) == b"\x01\x02" + b"\xe8\x03" * 800
    assert recording.message(users) == b"\x01\x02" + b"\x09\x00" * 40
    assert recording.session_id == "session-1"
    assert recording.length_s == 4.0
    assert typed["dir"] == "recv"
    assert state["name"] == "session.state"


def test_sound_within_json_is_put_back(tmp_path):
    (tmp_path / "timeline.jsonl").write_text(
        '{"t":0,"ts":0,"kind":"snapshot","version":1,"session":null,"rates":{}}\n'
        '{"t":0,"ts":0,"kind":"audio","dir":"send","wav":"sent","at":1,"n":2,"path":["a","b"],'
        '"json":{"a":{"b":null,"c":1}}}\n'
    )
    from avatarwire.audio import PcmFormat, write_wav

    write_wav(tmp_path / "sent.wav", b"abcdefgh", PcmFormat(16000))
    recording = Recording(tmp_path)
    (record,) = recording.messages()
    assert json.loads(recording.message(record)) == {"a": {"b": "Y2RlZg==", "c": 1}}


def test_a_line_that_is_cut_short_is_passed_over_and_counted(tmp_path):
    made(tmp_path, conversation)
    path = tmp_path / "timeline.jsonl"
    path.write_bytes(path.read_bytes()[:-20] + b'\n[1]\n{"t":1}\n')
    assert Recording(tmp_path).broken_lines == 3


def test_without_content_there_is_no_message(tmp_path):
    recording = made(tmp_path, conversation, content=False)
    assert {recording.message(record) for record in recording.messages()} == {None}


def test_what_is_no_recording(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(RecordingError, match=r"there is no timeline\.jsonl in it"):
            Recording(path)
    file = tmp_path / "timeline.jsonl"
    for text in ("", '{"t":0,"ts":0,"kind":"life"}\n', "no json\n"):
        file.write_text(text)
        with pytest.raises(RecordingError, match="begins with no snapshot"):
            Recording(tmp_path)
    file.write_text('{"t":0,"ts":0,"kind":"snapshot","version":2}\n')
    with pytest.raises(RecordingError, match="of version 2, and this reads version 1"):
        Recording(tmp_path)


def test_a_wav_that_is_none_is_told_and_no_record_leads_out_of_the_folder(tmp_path):
    folder = tmp_path / "recording"
    recording = made(folder, conversation)
    (tmp_path / "secret.wav").write_bytes((folder / "sent.wav").read_bytes())
    (folder / "sent.wav").write_bytes(b"no wav")
    first = next(record for record in recording.messages() if record["kind"] == "audio")
    with pytest.raises(RecordingError, match="is no WAV"):
        recording.message(first)
    assert recording.message({**first, "wav": "../secret"}) == b"\x01\x02"
