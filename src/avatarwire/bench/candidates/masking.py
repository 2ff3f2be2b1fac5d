"""What masks a WebSocket message; sound is cut for it by hand."""

import os
from collections import deque
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from avatarwire.bench.reference import audio, second
from avatarwire.bench.workloads import Call

__all__ = ["IntXor", "Picows", "Websockets", "Wsproto", "masked_text", "wire"]


def masked_text(encode: Callable[[], str | bytes]) -> Call:
    """Return a call that encodes a text, and frames and masks it as websockets' ``send()`` does."""
    from websockets.frames import Frame, Opcode  # noqa: PLC0415 - heavy

    def call() -> bytes:
        text = encode()
        data = text.encode() if isinstance(text, str) else text
        return Frame(Opcode.TEXT, data).serialize(mask=True)

    return call


def wire(key: bytes, message: bytes, masked: bytes) -> bytes:
    """Put the header of a binary message before its masked bytes."""
    size = len(message)
    if size < 126:
        return b"\x82" + bytes((0x80 | size,)) + key + masked
    if size < 65_536:
        return b"\x82\xfe" + size.to_bytes(2, "big") + key + masked
    return b"\x82\xff" + size.to_bytes(8, "big") + key + masked


class _Masking:
    """All that follows from masking one message."""

    def mask(self) -> Callable[[bytes], bytes]:
        """Return what masks a message."""
        raise NotImplementedError

    def message_mask(self, message: bytes) -> Call:
        """Mask."""
        mask = self.mask()
        return lambda: mask(message)

    def pcm_websocket(self, pcm: bytes) -> Call:
        """Pack each frame by struct, and mask it."""
        mask = self.mask()
        return lambda: [mask(audio(*fields)) for fields in second(pcm)]


class Websockets(_Masking):
    """The library that this package connects by."""

    name = "websockets"
    distributions: tuple[str, ...] = ("websockets",)

    def mask(self) -> Callable[[bytes], bytes]:
        """Return its frame's serialisation."""
        frames = import_module("websockets.frames")
        frame, binary = frames.Frame, frames.Opcode.BINARY

        def mask(message: bytes) -> bytes:
            masked: bytes = frame(binary, message).serialize(mask=True)
            return masked

        return mask


class Wsproto(_Masking):
    """The sans-I/O implementation in Python."""

    name = "wsproto"
    distributions: tuple[str, ...] = ("wsproto",)

    def __init__(self) -> None:
        self._protocol = import_module("wsproto.frame_protocol")

    def mask(self) -> Callable[[bytes], bytes]:
        """Return a client's protocol's."""
        send: Any = self._protocol.FrameProtocol(client=True, extensions=[]).send_data

        def mask(message: bytes) -> bytes:
            masked: bytes = send(message, fin=True)
            return masked

        return mask


class Picows(_Masking):
    """The fastest library in the field; it masks only what it sends, here to no socket.

    Its keys come from the C library's ``rand()``.
    """

    name = "picows"
    distributions: tuple[str, ...] = ("picows",)

    def __init__(self) -> None:
        self._picows = import_module("picows")

    def mask(self) -> Callable[[bytes], bytes]:
        """Return its transport's ``send``, and what it would have sent."""
        sent: deque[bytes] = deque(maxlen=1)
        socket = SimpleNamespace(fileno=lambda: -1)
        transport = SimpleNamespace(
            get_write_buffer_size=lambda: 1,  # else it would write to the socket itself
            write=sent.append,
            get_extra_info=lambda name: socket if name == "socket" else None,
        )
        loop = SimpleNamespace(create_future=lambda: None)
        logger = SimpleNamespace(isEnabledFor=lambda _: False)
        send: Any = self._picows.WSTransport(True, transport, logger, loop).send
        binary = self._picows.WSMsgType.BINARY

        def mask(message: bytes) -> bytes:
            send(binary, message)
            return sent[0]

        return mask


class IntXor(_Masking):
    """The shortest way in Python: two integers as long as the message."""

    name = "int XOR"
    distributions: tuple[str, ...] = ()

    def mask(self) -> Callable[[bytes], bytes]:
        """Return a function of Python."""

        def mask(message: bytes) -> bytes:
            size, key = len(message), os.urandom(4)
            keys = (key * (size // 4 + 1))[:size]
            masked = int.from_bytes(message, "little") ^ int.from_bytes(keys, "little")
            return wire(key, message, masked.to_bytes(size, "little"))

        return mask
