import base64
import json
from datetime import datetime

import pytest
from recordings import conversation, made
from schemas import errors

from avatarwire.recording import har

HEADERS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "value"],
        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
    },
}
#: HAR 1.2, as its specification has it, with what Chromium adds for WebSockets.
HAR = {
    "type": "object",
    "required": ["log"],
    "additionalProperties": False,
    "properties": {
        "log": {
            "type": "object",
            "required": ["version", "creator", "entries"],
            "properties": {
                "version": {"const": "1.2"},
                "creator": {
                    "type": "object",
                    "required": ["name", "version"],
                    "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
                },
                "pages": {"type": "array", "items": {"$ref": "#/$defs/page"}},
                "entries": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/entry"}},
            },
        }
    },
    "$defs": {
        "date": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        },
        "page": {
            "type": "object",
            "required": ["startedDateTime", "id", "title", "pageTimings"],
            "properties": {
                "startedDateTime": {"$ref": "#/$defs/date"},
                "id": {"type": "string"},
                "title": {"type": "string"},
                "pageTimings": {"type": "object"},
            },
        },
        "entry": {
            "type": "object",
            "required": ["startedDateTime", "time", "request", "response", "cache", "timings"],
            "properties": {
                "pageref": {"type": "string"},
                "startedDateTime": {"$ref": "#/$defs/date"},
                "time": {"type": "number", "minimum": 0},
                "request": {
                    "type": "object",
                    "required": [
                        "method", "url", "httpVersion", "cookies", "headers", "queryString",
                        "headersSize", "bodySize",
                    ],
                    "properties": {
                        "method": {"type": "string"},
                        "url": {"type": "string", "pattern": "^wss?://"},
                        "httpVersion": {"type": "string"},
                        "cookies": {"type": "array"},
                        "headers": HEADERS,
                        "queryString": HEADERS,
                        "headersSize": {"type": "integer", "minimum": -1},
                        "bodySize": {"type": "integer", "minimum": -1},
                    },
                },
                "response": {
                    "type": "object",
                    "required": [
                        "status", "statusText", "httpVersion", "cookies", "headers", "content",
                        "redirectURL", "headersSize", "bodySize",
                    ],
                    "properties": {
                        "status": {"type": "integer"},
                        "statusText": {"type": "string"},
                        "headers": HEADERS,
                        "content": {
                            "type": "object",
                            "required": ["size", "mimeType"],
                            "properties": {
                                "size": {"type": "integer"},
                                "mimeType": {"type": "string"},
                            },
                        },
                        "redirectURL": {"type": "string"},
                    },
                },
                "cache": {"type": "object"},
                "timings": {
                    "type": "object",
                    "required": ["send", "wait", "receive"],
                    "additionalProperties": {"type": "number"},
                },
                "_resourceType": {"const": "websocket"},
                "_webSocketMessages": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "time", "opcode", "data"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"enum": ["send", "receive"]},
                            "time": {"type": "number"},
                            "opcode": {"enum": [1, 2]},
                            "data": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


def test_it_is_valid_and_has_an_entry_for_each_connection(tmp_path):
    made_har = json.loads(json.dumps(har(made(tmp_path, conversation))))
    assert errors(made_har, HAR) == []
    first, second = made_har["log"]["entries"]
    assert [each["type"] for each in first["_webSocketMessages"]] == ["send", "receive", "send"]
    assert [each["opcode"] for each in second["_webSocketMessages"]] == [2, 2, 1]
    assert base64.b64decode(first["_webSocketMessages"][2]["data"])[:2] == b"\x01\x02"
    assert "secret" not in json.dumps(made_har)
    assert first["request"]["url"] == "wss://toy/"


def platform_side(to, at):
    """Two connections as a platform tells them: each ends by itself."""
    at(1)
    to.life("connected", {})
    at(2)
    to.message("received", "text", '{"name":"one"}')
    to.life("ended", {"code": 1006})
    at(5)
    to.life("connected", {})
    at(5.5)
    to.message("received", "text", '{"name":"two"}')
    to.life("ended", {"code": 1000})
    to.life("state", {"state": "IDLE"})


def test_a_connection_lasts_from_its_beginning_to_its_last_message(tmp_path):
    recording = made(tmp_path, platform_side, side="platform")
    entries = har(recording)["log"]["entries"]
    begun_s = [
        datetime.fromisoformat(entry["startedDateTime"]).timestamp() - recording.snapshot["ts"]
        for entry in entries
    ]
    assert begun_s == pytest.approx([1, 5], abs=0.001)
    assert [entry["time"] for entry in entries] == pytest.approx([1000, 500], abs=0.1)
    said = [[each["data"] for each in entry["_webSocketMessages"]] for entry in entries]
    assert said == [['{"name":"one"}'], ['{"name":"two"}']]


def test_before_any_connection_it_is_one_that_says_nothing(tmp_path):
    made_har = har(made(tmp_path, lambda *_: None))
    assert errors(made_har, HAR) == []
    assert [entry["_webSocketMessages"] for entry in made_har["log"]["entries"]] == [[]]


def test_the_schema_refuses_what_is_no_har(tmp_path):
    for spoil in (
        lambda log: log.pop("version"),
        lambda log: log.update(entries=[]),
        lambda log: log["entries"][0].pop("timings"),
        lambda log: log["entries"][0].update(startedDateTime="yesterday"),
        lambda log: log["entries"][0]["_webSocketMessages"][0].update(opcode=8),
    ):
        spoilt = har(made(tmp_path / str(id(spoil)), conversation))
        spoil(spoilt["log"])
        assert errors(spoilt, HAR) != []


def test_what_was_not_kept_is_left_out(tmp_path):
    made_har = har(made(tmp_path, conversation, content=False))
    assert errors(made_har, HAR) == []
    assert [entry["_webSocketMessages"] for entry in made_har["log"]["entries"]] == [[], []]
