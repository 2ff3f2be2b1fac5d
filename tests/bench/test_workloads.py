"""Every workload takes what is right, and tells what is wrong, to the byte."""

import json

import pytest

from avatarwire.bench import WORKLOADS, checked, reference, workload
from avatarwire.bench.candidates import Avatarwire
from avatarwire.codec import AudioFrame, client_message

OURS = Avatarwire()


def flipped(data, at=5):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def nothing_in(out):
    out[:] = bytes(len(out))


def text_of(wire):
    (text,) = reference.unmasked(wire, 0x81)
    return text


def remade(wire, **changes):
    return client_message(json.dumps(json.loads(text_of(wire)) | changes).encode(), text=True)


#: What is done to ours, and what is then said of it.
WRONG = {
    "header_pack": (flipped, "byte 5 is 0xf1, not 0xf0"),
    "header_unpack": (lambda frame: AudioFrame(1, 1, 7), "channel is 1, not 0"),
    "frame_pack": (lambda data: data[:-1], "returned 1,928 bytes, not 1,929"),
    "frame_repack": (lambda _: None, "returned NoneType, not bytes"),
    "frame_unpack": (lambda pair: (pair[0], flipped(pair[1])), "byte 5 is"),
    "frame_builder": (flipped, "byte 5 is 0xf1, not 0xf0"),
    "image_pack": (flipped, "byte 5 is"),
    "image_unpack": (lambda frame: {"format": 1, "quality": 84}, "quality is 84, not 85"),
    "external_pack": (flipped, "byte 5 is"),
    "external_unpack": (lambda frame: {"sequence": 8}, "sequence is 8, not 7"),
    "pcm_frames": (lambda frames: [frames[0], flipped(frames[1]), *frames[2:]], "message 1: byte"),
    "pcm_websocket": (lambda wire: wire[:-1937], "returned 24 messages, not 25"),
    "flood_unpack": (lambda pairs: pairs[1:] + pairs[:1], "frame 0: key is 0, not 1"),
    "message_mask": (lambda wire: flipped(wire, 20), "message 0: byte 12 is"),
    "chunk_json": (lambda text: text[:-1], "is no JSON"),
    "chunk_websocket": (lambda wire: remade(wire, seq=4), "is JSON of something else"),
    "partial_websocket": (lambda wire: remade(wire, seq=8), "is JSON of something else"),
    "akool_json": (lambda text: text.replace(b"audio-", b"", 1)[:0] + b"{}", "has no mid"),
    "akool_websocket": (lambda wire: remade(wire, pld={}), "is JSON of something else"),
    "jitter": (lambda frames: frames[::-1], "is not in order, or not all"),
    "level": (lambda pair: (pair[0] * 1.01, pair[1]), "not 0."),
    "resample": (lambda pcm: bytes(len(pcm)), "the tone has an amplitude of 0, not 9000"),
}


@pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: work.name)
def test_ours_is_right(work):
    assert checked(work, OURS) is None


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_wrong_is_told(name):
    change, words = WRONG[name]
    work = workload(name)
    inputs = work.cases()[0]
    fault = work.fault(change(getattr(OURS, name)(*inputs)()), inputs)
    assert fault is not None
    assert words in fault


def test_a_buffer_that_was_left_alone_is_told():
    work = workload("pcm_into")
    pcm, out = work.cases()[0]
    assert work.fault(None, (pcm, out)) == "byte 0 is 0x00, not 0x50"


def test_every_workload_has_something_wrong_here():
    assert {*WRONG, "pcm_into"} == {work.name for work in WORKLOADS}


@pytest.mark.parametrize("name", ["header_pack", "header_unpack", "image_pack", "external_pack"])
def test_a_candidate_that_is_right_for_one_input_only_is_found(name):
    work = workload(name)
    first = work.cases()[0]

    class Learned:
        def __getattr__(self, operation):
            return lambda *_: getattr(OURS, operation)(*first)

    assert checked(work, Learned()) is not None


def test_a_sound_that_aliases_is_told():
    work = workload("resample")
    (pcm,) = work.cases()[0]
    samples = memoryview(pcm).cast("h").tolist()
    out = b""
    for at in range(16_000):
        whole, part = divmod(at * 3, 2)
        pair = samples[whole], samples[min(whole + 1, 23_999)]
        value = round(pair[0] * (1 - part / 2) + pair[1] * part / 2)
        out += value.to_bytes(2, "little", signed=True)
    assert work.fault(out, (pcm,)) == "the sound that the rate cannot hold is not 40 dB down"


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="frame_pak"):
        workload("frame_pak")
