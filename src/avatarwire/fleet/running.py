"""Runs a fleet until it is told to end: what ``avatarwire fleet run`` does."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import ray
from ray import serve

from avatarwire.fleet.deploying import FLEET, application, require_token
from avatarwire.fleet.errors import FleetError
from avatarwire.fleet.program import Handler
from avatarwire.fleet.reaching import Directory, end_directory

__all__ = ["run", "shut_down"]

#: How long the sessions may take to end when the fleet ends.
STOP_LIMIT_S = 8.0


async def run(
    handler: Handler,
    *,
    hosts: int,
    max_sessions: int | None,
    address: str,
    port: int,
    say: Callable[[str], object],
) -> None:
    """Run a fleet in this Ray, or in one of its own, until SIGINT or SIGTERM.

    Args:
        handler: the program.
        hosts: how many hosts.
        max_sessions: how many sessions a host runs; None: as the program says.
        address: where the gateway listens.
        port: its port.
        say: takes what there is to tell.
    """
    token = os.environ.get("AVATARWIRE_FLEET_TOKEN") or None
    require_token(address, token)
    ended = asyncio.Event()
    async with _platform(say):
        is_ours = _connect(hosts)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        try:
            await asyncio.to_thread(_deploy, handler, hosts, max_sessions, address, port, token)
            say(f"fleet of {hosts} hosts at http://{address}:{port} (Ctrl-C ends it)")
            await ended.wait()
        finally:
            say("ending the sessions")
            await shut_down()
            if is_ours:
                await asyncio.to_thread(ray.shutdown)


def _connect(hosts: int) -> bool:
    """Connect to a Ray, or start one; return whether it is ours."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return False
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, logging_level=logging.ERROR)
        return False
    # A host that stands still does not hear that it is to end, and is offered sessions until then.
    os.environ.setdefault("RAY_kill_worker_timeout_milliseconds", "500")
    # What the engine may place, not what the machine has: a host takes the CPU that it uses.
    ray.init(
        address="local",
        num_cpus=max(hosts + 2, os.cpu_count() or 1),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    return True


def _deploy(
    handler: Handler,
    hosts: int,
    max_sessions: int | None,
    address: str,
    port: int,
    token: str | None,
) -> None:
    serve.start(http_options={"host": address, "port": port}, logging_config={"log_level": "ERROR"})
    built = application(handler, hosts=hosts, max_sessions=max_sessions, token=token)
    serve.run(built, name=FLEET, route_prefix="/")


async def shut_down(fleet: str = FLEET, limit_s: float = STOP_LIMIT_S) -> int:
    """End every session of a fleet, then its hosts and gateways; return how many had to be cut."""
    left = 0
    with contextlib.suppress(FleetError):
        left = await Directory(fleet).call("stop_all", limit_s, limit_s=2 * limit_s + 2)
    await asyncio.to_thread(end_directory, fleet)
    await asyncio.to_thread(serve.delete, fleet)
    await asyncio.to_thread(serve.shutdown)
    return int(left)


@contextlib.asynccontextmanager
async def _platform(say: Callable[[str], Any]) -> AsyncIterator[None]:
    """Run a platform on this machine where no other is named."""
    if os.environ.get("AVATARWIRE_URL"):
        yield
        return
    from avatarwire.emulator import LiveAvatarEmulator  # noqa: PLC0415 - an extra

    async with LiveAvatarEmulator() as emulator:
        os.environ["AVATARWIRE_URL"] = emulator.base_url
        os.environ.setdefault("AVATARWIRE_API_KEY", "sk-local")
        os.environ.setdefault("AVATARWIRE_AVATAR_ID", "avatar-local")
        say("AVATARWIRE_URL is not set: a platform on this machine stands in")
        try:
            yield
        finally:
            del os.environ["AVATARWIRE_URL"]
