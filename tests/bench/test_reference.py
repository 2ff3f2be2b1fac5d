"""The comparison's own reference beside the protocol's check value and the codec's oracle."""

import sys
from pathlib import Path

import pytest

from avatarwire.bench import reference
from avatarwire.codec import client_message

sys.path.insert(0, str(Path(__file__).parents[1] / "codec"))
import reference as oracle


def test_the_protocols_check_value():
    message = reference.audio(1, 1, 0, 1048575, 0, 0, 1, bytes(2640))
    assert message[:9].hex() == "7000fffff000100a50"


@pytest.mark.parametrize("samples", [0, 1, 3, 960, 4095])
def test_audio(samples):
    frame = reference.Fields(1, 0, 0xABC, 0x12345, 2, samples, 1, b"sound")
    message = oracle.audio(*frame)
    assert reference.audio(*frame) == message
    fields, payload = reference.read_audio(message + b"more")
    assert fields | {"payload": payload} == frame._asdict()


def test_image():
    image = reference.Image(3, 85, 7, 640, 480, b"picture")
    message = oracle.image(*image)
    assert reference.image(*image) == message
    fields, payload = reference.read_image(message + b"more")
    assert fields | {"payload": payload} == image._asdict()


def test_external():
    external = reference.External(2**64 - 1, -5, b"sound!")
    message = oracle.external(*external)
    assert reference.external(*external) == message
    fields, payload = reference.read_external(message)
    assert fields | {"payload": payload} == external._asdict()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_unmasked(size):
    messages = [bytes(range(256)) * (size // 256) + bytes(size % 256), b"x"]
    wire = b"".join(map(client_message, messages))
    assert reference.unmasked(wire, 0x82) == messages


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"\x82\x01x", "begins no masked message: 0x8201"),
        (client_message(b"x", text=True), "begins no masked message: 0x8181"),
        (client_message(b"xy")[:-1], "has 1 bytes of 2"),
    ],
    ids=["unmasked", "text", "cut"],
)
def test_what_is_no_masked_message(wire, words):
    with pytest.raises(ValueError, match=words):
        reference.unmasked(wire, 0x82)
