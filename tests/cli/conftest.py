"""No setting of whoever runs the tests reaches a command."""

import os

import pytest
from commands import WITHOUT_SETTINGS


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - WITHOUT_SETTINGS:
        monkeypatch.delenv(name)
