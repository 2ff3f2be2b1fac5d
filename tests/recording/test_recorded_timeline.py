import json
from array import array

import pytest
from schemas import errors
from sources import MONO, Clock, Kept, Told

from avatarwire.recording import Timeline, schema
from avatarwire.recording import timeline as timeline_module
from avatarwire.session.stats import AgentStats


def begun(content=True, **options):
    source, sink, clock = Told(**options), Kept(), Clock()
    timeline = Timeline(source, sink, content=content, now=clock)
    timeline.begin()
    return source, sink, clock, timeline


def test_the_first_record_is_a_snapshot():
    config = {"avatar_id": "a", "api_key": "sk-1234567890", "base_url": "https://h/?token=abcdef"}
    source, sink, _, timeline = begun(configuration=config)
    assert source.to is timeline
    (snapshot,) = sink.records
    assert errors(snapshot, schema()) == []
    assert snapshot["version"] == 1
    assert snapshot["session"] == "session-1"
    assert snapshot["rates"] == {"sent": 1000, "user": 1000, "heard": 1000}
    assert snapshot["clock"]["monotonic_s"] == 100.0
    assert snapshot["configuration"] == {
        "avatar_id": "a", "api_key": "***", "base_url": "https://h/?token=***"
    }  # fmt: skip


@pytest.mark.parametrize(("side", "of_client"), [("client", "send"), ("platform", "recv")])
def test_messages_are_records_and_their_sound_is_beside_them(side, of_client):
    source, sink, clock, timeline = begun(side=side)
    sent, received = ("sent", "received") if side == "client" else ("received", "sent")
    clock.now = 101.5
    source.to.message(sent, "text", '{"name":"hello","token":"t","x":[1]}')
    source.to.message(sent, "binary", b"abcd")
    source.to.message(received, "binary", b"efgh")
    source.to.message(received, "text", "no json")
    timeline.work()
    text, mine, users, odd = sink.records[1:]
    assert all(errors(record, schema()) == [] for record in sink.records)
    assert text == {
        "t": 1.5, "ts": text["ts"], "kind": "text", "dir": of_client, "bytes": 36, "name": "hello",
        "json": {"name": "hello", "token": "***", "x": [1]},
    }  # fmt: skip
    assert (mine["wav"], mine["at"], mine["n"], mine["rate"], mine["head"], mine["seq"]) == (
        "sent", 0, 2, 1000, "0102", 7
    )  # fmt: skip
    assert (users["wav"], users["dir"] != of_client) == ("user", True)
    assert odd["text"] == "no json"
    assert sink.wavs == {"sent": b"abcd", "user": b"efgh"}


def test_without_content_there_are_lengths_and_levels_alone():
    source, sink, clock, timeline = begun(content=False)
    source.to.message("sent", "text", '{"name":"hello","text":"private"}')
    source.to.message("sent", "text", "private")
    source.to.message("sent", "binary", b"\x00\x40" * 5)
    source.to.sound("a", b"\x00\x40" * 5, MONO, 100.0, 100.0)
    source.to.turn("a", "ended", {"reason": "completed", "heard_text": "private"})
    clock.now = 105
    timeline.end()
    timeline.work(is_over=True)
    assert "private" not in json.dumps(sink.records)
    audio = sink.of("audio")[0]
    assert (audio["n"], audio["level"]) == (5, 0.5)
    assert not {"wav", "at", "head", "base64"} & audio.keys()
    assert sink.wavs == {}
    assert sink.pieces == []


def test_turns_and_life_are_records():
    source, sink, _, timeline = begun()
    source.to.life("connected", {})
    source.to.turn("a", "opened", {"request_id": "r"})
    source.to.life("ended", {"code": 1006, "reason": "Bearer abcdef"})
    timeline.work()
    assert all(errors(record, schema()) == [] for record in sink.records)
    assert [record.get("change") for record in sink.records[1:]] == ["connected", "opened", "ended"]
    assert sink.records[-1]["reason"] == "Bearer ***"
    assert source.to is timeline
    timeline.end()
    assert source.to is None


def test_what_was_heard_is_written_when_it_cannot_change_any_more():
    source, sink, clock, timeline = begun()
    source.to.sound("a", array("h", range(1, 501)).tobytes(), MONO, 7.0, 7.0)  # a loop's own clock
    clock.now = 100.3
    timeline.work()
    assert len(sink.pieces[0].pcm) == 4 * 50
    source.to.silence("a", 7.3)
    clock.now = 101
    timeline.end()
    timeline.work(is_over=True)
    assert sum(len(piece.pcm) for piece in sink.pieces) == 4 * 300
    (run,) = sink.of("turn")
    assert errors(run, schema()) == []
    assert (run["change"], run["at"], run["n"], run["turn"]) == ("heard", 0, 300, "a")


def test_stats_are_a_record():
    _, sink, _, timeline = begun()
    values = dict.fromkeys(AgentStats.__slots__, 0)
    timeline.stats(AgentStats(**{**values, "dropped": {"late": 1}}))
    timeline.work()
    (record,) = sink.of("stats")
    assert errors(record, schema()) == []
    assert record["stats"]["dropped"] == {"late": 1}


def test_what_is_too_much_is_counted_and_told(monkeypatch):
    monkeypatch.setattr(timeline_module, "MOST_WAITING_BYTES", 1000)
    source, sink, _, timeline = begun()
    for _ in range(20):
        source.to.message("sent", "text", "x" * 100)
    assert timeline.lost == 17
    timeline.work()
    assert len(sink.of("text")) == 3
    assert (sink.records[-1]["change"], sink.records[-1]["count"]) == ("lost_events", 17)
    source.to.message("sent", "text", "there is room again")
    timeline.work()
    assert timeline.lost == 17
    assert sink.records[-1]["text"] == "there is room again"
