"""What two independent WebSocket implementations make of a client's bytes."""

from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from wsproto import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage


def _parse_with_websockets(wire):
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(wire)
    events = server.events_received()
    assert server.parser_exc is None
    assert all(event.fin for event in events)
    return [
        bytes(event.data).decode() if event.opcode is Opcode.TEXT else bytes(event.data)
        for event in events
    ]


def _parse_with_wsproto(wire):
    server = Connection(ConnectionType.SERVER)
    server.receive_data(wire)
    messages, kind, parts = [], None, []
    for event in server.events():
        assert isinstance(event, (BytesMessage, TextMessage))
        kind = type(event)
        parts.append(event.data)
        if event.message_finished:
            messages.append("".join(parts) if kind is TextMessage else b"".join(parts))
            parts = []
    assert not parts
    return messages


def parse(wire):
    """Return the messages on the wire: two independent implementations have to agree."""
    messages = _parse_with_websockets(wire)
    assert _parse_with_wsproto(wire) == messages
    return messages
