"""What tests of every platform use."""

from importlib.util import find_spec

import pytest

from avatarwire import transport

#: Tests of adapters run where their framework is (make test-frameworks).
collect_ignore = [
    f"with_{room}"
    for room, package in (("livekit", "livekit"), ("pipecat", "pipecat"), ("fleet", "ray"))
    if find_spec(package) is None
]


class Dials:
    """Opens connections as ``transport.connect`` does, and keeps them for a test to look at."""

    def __init__(self):
        self.connections = []

    @property
    def last(self):
        return self.connections[-1]

    async def __call__(self, url, **options):
        connection = await transport.connect(url, **options)
        self.connections.append(connection)
        return connection


@pytest.fixture
def dials():
    return Dials()
