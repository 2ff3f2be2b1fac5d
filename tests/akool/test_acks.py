import json

import pytest

from avatarwire.akool import ConnectionError  # noqa: A004 - the published name
from avatarwire.akool.acks import Acks
from avatarwire.akool.config import ClientConfig
from avatarwire.akool.protocol import AGORA, AkoolProtocol
from avatarwire.errors import SessionLostError
from avatarwire.session import Outbox


def ack(mid):
    return json.dumps({"v": 2, "type": "ack", "mid": "m", "pld": {"original_mid": mid}})


@pytest.mark.parametrize("end", ["gap", "ended"])
async def test_an_answer_that_comes_after_the_end_finds_nobody(end):
    protocol = AkoolProtocol()
    acks = Acks(
        ClientConfig(api_key="key", avatar_id="avatar"),
        protocol,
        Outbox(),
        named=lambda exc: ConnectionError(str(exc)),
    )
    one, agora = acks.expect("one"), acks.expect(AGORA)
    getattr(acks, end)(SessionLostError(1000, "over"))
    for future in (one, agora):
        with pytest.raises(ConnectionError, match="over"):
            future.result()
    acks.notice(protocol.receive(ack("one")))
    connected = {"v": 2, "type": "system", "mid": "m", "pld": {"status": "agora_connected"}}
    acks.notice(protocol.receive(json.dumps(connected)))
