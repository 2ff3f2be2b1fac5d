"""Small checks that keep the structure honest."""

import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import avatarwire

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(avatarwire.__path__, prefix="avatarwire.")
)
#: What imports nowhere but beside its framework.
ADAPTERS = ("avatarwire.livekit", "avatarwire.pipecat", "avatarwire.fleet")
SPEECH = str(Path(__file__).parent / "data" / "speech.wav")
FACES = [
    "avatarwire",
    "avatarwire.akool",
    "avatarwire.audio",
    "avatarwire.codec",
    "avatarwire.emulator",
    "avatarwire.emulator.akool",
    "avatarwire.emulator.liveavatar",
    "avatarwire.liveavatar",
    "avatarwire.monitor",
    "avatarwire.recording",
    "avatarwire.rfc6455",
    "avatarwire.transport",
]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", FACES)
def test_face_exports_exactly_what_it_names(name):
    face = import_module(name)
    assert list(face.__all__) == sorted(face.__all__)
    assert all(hasattr(face, export) for export in face.__all__)
    assert set(face.__all__) <= set(dir(face))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'avatarwire' has no attribute 'Avatar'"):
        avatarwire.Avatar  # noqa: B018


def test_every_module_imports_alone_without_a_warning():
    # PyInstaller runs its hook itself, by the file's name.
    names = [name for name in MODULES if not name.endswith(("__main__", ".hook-avatarwire"))]
    names = [name for name in names if not name.startswith(ADAPTERS)]
    assert len(names) > 20
    for name in names:
        run(f"import {name}")


def test_codec_loads_neither_asyncio_nor_a_network_library():
    loaded = run(
        "import sys, avatarwire.codec;"
        "print([m for m in ('asyncio', 'websockets', 'httpx', 'orjson') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_audio_loads_its_heavy_libraries_only_when_used():
    loaded = run(
        "import sys, avatarwire.audio as audio;"
        "audio.Resampler(rate_in=16000, rate_out=16000).push(b'ab');"
        f"audio.read({SPEECH!r});"
        "print([m for m in ('asyncio', 'numpy', 'soxr', 'av') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_top_level_import_loads_nothing_heavy():
    loaded = run(
        "import sys, avatarwire;"
        "print([m for m in ('asyncio', 'websockets', 'httpx', 'avatarwire.codec')"
        " if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_the_emulator_loads_nothing_that_runs_a_client():
    loaded = run(
        "import sys, avatarwire.emulator;"
        "print(*(m for m in sys.modules if m.partition('.')[0] in"
        " ('avatarwire', 'websockets', 'httpx')))"
    )
    rooms = ("_", "audio", "codec", "emulator", "errors", "monitor", "recording")
    messages = {
        f"{room}{name}"
        for room in ("akool", "liveavatar")
        for name in ("", ".messages", ".wording")
    }
    names = [name.removeprefix("avatarwire.") for name in loaded.split() if name != "avatarwire"]
    assert [n for n in names if n not in messages and not n.startswith(rooms)] == []


@pytest.mark.parametrize(
    "room", ["akool", "liveavatar", "livekit", "pipecat", "session", "streaming", "transport"]
)
def test_a_room_begins_its_tasks_later(room):
    """An eager task factory then changes nothing: see ``avatarwire._tasks``."""
    (path,) = avatarwire.__path__
    for file in Path(path, room).rglob("*.py"):
        assert not re.search(r"create_task\(|ensure_future\(", file.read_text("utf-8")), file
