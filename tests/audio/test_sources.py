import array
import asyncio
import io
import mmap
import sys

import numpy as np
import pytest

from avatarwire.audio import is_one_piece, pieces_of


@pytest.mark.parametrize(
    "piece",
    [b"", bytearray(2), memoryview(b"ab"), array.array("h", [1]), np.zeros(4, np.int16),
     np.zeros((2, 2), ">i2"), mmap.mmap(-1, 2), "text"],
    ids=lambda piece: type(piece).__name__,
)  # fmt: skip
def test_sound_itself_is_one_piece(piece) -> None:
    assert is_one_piece(piece)


@pytest.mark.parametrize("source", [[b"a"], (), iter(b""), {b"a"}, io.BytesIO(b"a"), 7, None])
def test_anything_else_is_not(source) -> None:
    assert not is_one_piece(source)


def test_an_iterable_is_itself() -> None:
    source = [b"ab"]
    assert pieces_of(source) is source


def test_a_file_is_read_in_pieces_not_in_lines() -> None:
    sound = b"\n" * 100_000
    assert [len(piece) for piece in pieces_of(io.BytesIO(sound))] == [65_536, 34_464]


async def test_a_process_is_read_in_pieces_not_in_lines() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; sys.stdout.buffer.write(bytes(200_000))",
        stdout=asyncio.subprocess.PIPE,
    )
    pieces = [piece async for piece in pieces_of(process.stdout)]
    assert b"".join(pieces) == bytes(200_000)
    assert len(pieces) > 1
    await process.wait()
