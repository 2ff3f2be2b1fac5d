"""Messages of text by JSON libraries: a dict by hand, and masked by websockets."""

import time
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from avatarwire.bench.candidates.masking import masked_text
from avatarwire.bench.workloads import Call

__all__ = ["Json", "Msgspec", "Orjson", "OrjsonAlone", "Pybase64Alone"]


def _chunk(request: str, response: str, seq: int, timestamp: int, text: str) -> dict[str, Any]:
    return {
        "event": "response.chunk",
        "requestId": request,
        "responseId": response,
        "seq": seq,
        "timestamp": timestamp,
        "data": {"text": text},
    }


def _partial(request: str, text: str, seq: int) -> dict[str, Any]:
    return {
        "event": "input.asr.partial",
        "requestId": request,
        "seq": seq,
        "data": {"text": text, "final": False},
    }


class _Encoding:
    """All that follows from one function that encodes a dict, and one that encodes sound."""

    def __init__(self, encode: Callable[[Any], Any], base64: Callable[[bytes], bytes]) -> None:
        self._encode, self._base64 = encode, base64

    def chunk_json(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the dict, and encode it."""
        encode = self._encode
        return lambda: encode(_chunk(*arguments))

    def chunk_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the dict, encode it, and mask it."""
        return masked_text(self.chunk_json(*arguments))

    def partial_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the dict, encode it, and mask it."""
        encode = self._encode
        return masked_text(lambda: encode(_partial(*arguments)))

    def akool_json(self, pcm: bytes) -> Call:
        """Encode the sound, build the dict, and encode that."""
        encode, base64 = self._encode, self._base64

        def call() -> Any:  # noqa: ANN401
            sound = base64(pcm).decode()
            mid = f"audio-{time.time_ns() // 1_000_000}"
            return encode({"v": 2, "type": "chat", "mid": mid, "pld": {"audio": sound}})

        return call

    def akool_websocket(self, pcm: bytes) -> Call:
        """Encode all that, and mask it."""
        return masked_text(self.akool_json(pcm))


class Json(_Encoding):
    """The standard library's JSON and Base64 (binascii)."""

    name = "json, binascii"
    distributions: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(import_module("json").dumps, b64encode)


class Orjson(_Encoding):
    """orjson and pybase64, which this package uses too."""

    name = "orjson, pybase64"
    distributions: tuple[str, ...] = ("orjson", "pybase64")

    def __init__(self) -> None:
        super().__init__(import_module("orjson").dumps, import_module("pybase64").b64encode)


class Msgspec(_Encoding):
    """msgspec and pybase64."""

    name = "msgspec, pybase64"
    distributions: tuple[str, ...] = ("msgspec", "pybase64")

    def __init__(self) -> None:
        encode = import_module("msgspec.json").Encoder().encode
        super().__init__(encode, import_module("pybase64").b64encode)


class OrjsonAlone:
    """Less than the job: the dict is ready-made."""

    name = "orjson alone, dict ready-made"
    distributions: tuple[str, ...] = ("orjson",)
    is_bound = True

    def __init__(self) -> None:
        self._dumps = import_module("orjson").dumps

    def chunk_json(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Encode."""
        return partial(self._dumps, _chunk(*arguments))

    def chunk_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Encode; neither framed nor masked."""
        return partial(self._dumps, _chunk(*arguments))

    def partial_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Encode; neither framed nor masked."""
        return partial(self._dumps, _partial(*arguments))


class Pybase64Alone:
    """Less than the job: the sound is encoded, and put into nothing."""

    name = "pybase64 alone"
    distributions: tuple[str, ...] = ("pybase64",)
    is_bound = True

    def __init__(self) -> None:
        self._encode = import_module("pybase64").b64encode

    def akool_json(self, pcm: bytes) -> Call:
        """Encode."""
        return partial(self._encode, pcm)

    def akool_websocket(self, pcm: bytes) -> Call:
        """Encode."""
        return partial(self._encode, pcm)
