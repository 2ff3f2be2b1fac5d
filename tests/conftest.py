"""What tests of every platform use."""

import pytest

from avatarwire import transport


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
