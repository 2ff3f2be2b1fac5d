"""A recording in the form of others: HAR, whose WebSocket messages every browser's tools show."""

import base64
from datetime import UTC, datetime
from typing import Any

from avatarwire.recording.reading import Recording

__all__ = ["har"]

OPCODES: dict[type[str] | type[bytes], int] = {str: 1, bytes: 2}


def har(recording: Recording) -> dict[str, Any]:
    """Return a recording as HAR 1.2: one entry for each connection, its messages in it.

    Messages without their content are left out; keys and tokens are masked, as in the recording.
    """
    snapshot = recording.snapshot
    connections: list[list[dict[str, Any]]] = [[]]
    begun = [snapshot["ts"]]
    for record in recording.records:
        if record["kind"] == "life" and record.get("change") == "gap":
            connections.append([])
            begun.append(record["ts"])
        data = None if "dir" not in record else recording.message(record)
        if data is not None:
            connections[-1].append(
                {
                    "type": "send" if record["dir"] == "send" else "receive",
                    "time": record["ts"],
                    "opcode": OPCODES[type(data)],
                    "data": data if isinstance(data, str) else base64.b64encode(data).decode(),
                }
            )
    entries = [
        _entry(snapshot, started, messages)
        for started, messages in zip(begun, connections, strict=True)
    ]
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "avatarwire", "version": snapshot["versions"]["avatarwire"]},
            "pages": [
                {
                    "startedDateTime": _when(snapshot["ts"]),
                    "id": "session",
                    "title": f"{snapshot['platform']} session {recording.session_id}".strip(),
                    "pageTimings": {"onContentLoad": -1, "onLoad": -1},
                }
            ],
            "entries": entries,
        }
    }


def _entry(
    snapshot: dict[str, Any], started: float, messages: list[dict[str, Any]]
) -> dict[str, Any]:
    lasted_ms = 1000 * (messages[-1]["time"] - started) if messages else 0.0
    headers = [
        {"name": "Upgrade", "value": "websocket"},
        {"name": "Connection", "value": "Upgrade"},
    ]
    nothing: dict[str, Any] = {
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers,
        "headersSize": -1,
    }
    return {
        "pageref": "session",
        "startedDateTime": _when(started),
        "time": max(0.0, lasted_ms),
        "request": {
            **nothing,
            "method": "GET",
            "url": f"wss://{snapshot['platform']}/",  # the true one may hold a token
            "queryString": [],
            "bodySize": 0,
        },
        "response": {
            **nothing,
            "status": 101,
            "statusText": "Switching Protocols",
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "bodySize": 0,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": max(0.0, lasted_ms)},
        "_resourceType": "websocket",
        "_webSocketMessages": messages,
    }


def _when(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()
