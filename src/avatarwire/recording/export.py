"""A recording in the form of others: HAR, whose WebSocket messages every browser's tools show."""

import base64
from datetime import UTC, datetime
from typing import Any, TypeAlias

from avatarwire.recording.reading import Recording

__all__ = ["har"]

Message: TypeAlias = dict[str, Any]

OPCODES: dict[type[str] | type[bytes], int] = {str: 1, bytes: 2}


def har(recording: Recording) -> dict[str, Any]:
    """Return a recording as HAR 1.2: one entry for each connection, its messages in it.

    Messages without their content are left out; keys and tokens are masked, as in the recording.
    """
    snapshot = recording.snapshot
    connections: list[tuple[float, list[Message]]] = []
    is_open = False
    for record in recording.records:
        is_message = "dir" in record
        change = record.get("change") if record["kind"] == "life" else None
        if change in {"gap", "ended"}:
            is_open = False
        elif not is_open and (is_message or change == "connected"):
            is_open = True
            connections.append((record["ts"], []))
        data = recording.message(record) if is_message else None
        if data is not None:
            connections[-1][1].append(
                {
                    "type": "send" if record["dir"] == "send" else "receive",
                    "time": record["ts"],
                    "opcode": OPCODES[type(data)],
                    "data": data if isinstance(data, str) else base64.b64encode(data).decode(),
                }
            )
    entries = [
        _entry(snapshot, begun, messages)
        for begun, messages in connections or [(snapshot["ts"], [])]
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


def _entry(snapshot: dict[str, Any], begun: float, messages: list[Message]) -> dict[str, Any]:
    lasted_ms = 1000 * (messages[-1]["time"] - begun) if messages else 0.0
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
        "startedDateTime": _when(begun),
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
