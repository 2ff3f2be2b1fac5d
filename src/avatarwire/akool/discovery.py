"""Which instances of the platform to dial, and in which order.

Source: the wire protocol of Akool, "Discovery".
"""

import logging
import random
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from avatarwire import transport
from avatarwire._checks import is_whole
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.exceptions import AuthenticationError, ServiceDiscoveryError
from avatarwire.errors import RestError
from avatarwire.transport import redacted

if TYPE_CHECKING:
    from avatarwire.transport import Response, RestClient

__all__ = ["discover", "instances_in", "ordered"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

SUCCESS = 1000
BAD_KEY = 4001


async def discover(client: "RestClient", config: ClientConfig) -> list[Instance]:
    """Ask the platform which of its instances are available.

    Raises:
        AuthenticationError: the platform refused the key.
        ServiceDiscoveryError: no usable answer, or none available in it.
    """
    url, query = config.discovery_request()
    try:
        answer = await transport.get_json(
            client,
            url,
            params=query,
            headers={"api_key": config.api_key},
            timeout_s=config.discovery_timeout,
        )
    except RestError as exc:
        # An error that names a setting has advice of its own.
        advice = "" if exc.setting else ": is it running? check discovery_url"
        raise ServiceDiscoveryError(
            f"service discovery failed: {exc}{advice}", setting=exc.setting or "discovery_url"
        ) from None
    instances = instances_in(answer, config.api_key)
    available = [instance for instance in instances if instance.is_available]
    if not available:
        raise ServiceDiscoveryError(
            f"no instance is available ({len(instances)} named): try again later,"
            f" or another env than {config.env!r}",
            setting="env",
        )
    return available


def instances_in(answer: "Response", api_key: str = "") -> list[Instance]:
    """Read discovery's answer, in either of its forms; an entry that cannot be dialled is skipped.

    Args:
        answer: what the platform answered.
        api_key: kept out of the errors, should the answer quote it.

    Raises:
        AuthenticationError: HTTP 401, or the platform's code 4001.
        ServiceDiscoveryError: another status or code, or no answer of either form.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    code = body.get("code")
    if not is_whole(code):
        code = None
    words = body.get("msg", body.get("message"))
    said = f": {redacted(words, api_key)}" if isinstance(words, str) and words else ""
    if answer.status == 401 or code == BAD_KEY:
        raise AuthenticationError(
            f"the platform refused the API key{said}",
            code=code or answer.status,
            setting="api_key",
        )
    if answer.status != 200:
        is_theirs = answer.status == 429 or answer.status >= 500
        advice = "" if is_theirs else ": is discovery_url right?"
        if answer.location is not None:
            advice += f" it points to {redacted(answer.location, api_key)}"
        raise ServiceDiscoveryError(
            f"service discovery was answered with HTTP {answer.status}{said}{advice}",
            code=answer.status,
            setting=None if is_theirs else "discovery_url",
        )
    if not body:
        raise ServiceDiscoveryError(
            "service discovery was answered without JSON: is discovery_url right?",
            setting="discovery_url",
        )
    if code not in {None, SUCCESS} or body.get("success") is False:
        raise ServiceDiscoveryError(
            f"service discovery was refused{'' if code is None else f' with code {code}'}{said}:"
            " are avatar_id and env right?",
            code=code,
            setting="avatar_id",
        )
    data = body.get("data")
    entries = None
    if isinstance(data, dict):
        entries = data.get("instances") if "instances" in data else data.get("services")
    if not isinstance(entries, list):
        raise ServiceDiscoveryError(
            "service discovery's answer names neither instances nor services: is discovery_url"
            " right?",
            setting="discovery_url",
        )
    read = [_instance(entry) for entry in entries]
    instances = [instance for instance in read if instance is not None]
    if len(instances) < len(read):
        logger.warning(
            "service discovery named %d of %d instances without a usable address: passed over",
            len(read) - len(instances),
            len(read),
        )
    return instances


def ordered(
    instances: Collection[Instance], config: ClientConfig, failed: Collection[tuple[str, int]]
) -> list[Instance]:
    """Put instances in the order of dialling, at most ``max_retry_attempts`` of them.

    Those that have failed come last, and those of another avatar after those of ours; within that
    chance decides, so that clients spread over the instances.

    Args:
        instances: what discovery gave.
        config: whose avatar, and how many.
        failed: addresses that were dialled in vain.
    """
    shuffled = random.sample(list(instances), len(instances))
    shuffled.sort(
        key=lambda instance: (
            (instance.ip, instance.port) in failed,
            instance.avatar_id != config.avatar_id,
        )
    )
    return shuffled[: config.max_retry_attempts]


def _instance(entry: Any) -> Instance | None:  # noqa: ANN401 - whatever the platform sent
    if not isinstance(entry, dict):
        return None
    host, port = entry.get("ip", entry.get("host")), entry.get("port")
    if not isinstance(host, str) or not is_whole(port):
        return None
    # What would end the host in a URL could send the key elsewhere.
    if not host or not host.isprintable() or not 0 < port < 65536 or set(host) & set(" /?#@\\"):
        return None
    avatar_id, index = entry.get("avatar_id"), entry.get("index")
    return Instance(
        host.strip("[]"),
        port,
        avatar_id if isinstance(avatar_id, str) else "",
        str(entry.get("status")),
        # The README's form says only how active a service is.
        entry.get("healthy", "ip" not in entry) is True,
        index if isinstance(index, int) else 0,
    )
