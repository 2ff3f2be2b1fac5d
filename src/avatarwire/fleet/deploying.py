"""A fleet as a Serve application."""

import ipaddress
import os
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from avatarwire.errors import SettingError
from avatarwire.fleet.directory import start_directory
from avatarwire.fleet.errors import FleetError
from avatarwire.fleet.gateway import new_gateway
from avatarwire.fleet.host import Host
from avatarwire.fleet.hosted import TURN_LIMIT_S
from avatarwire.fleet.program import Handler, load_program, program_of

__all__ = ["FLEET", "app", "application", "open_gateway", "require_token"]

#: What a fleet is called unless it is named.
FLEET = "fleet"
HEALTH_PERIOD_S = 1.0
HEALTH_TIMEOUT_S = 5.0
ASK_SERVE_LIMIT_S = 30.0


def application(
    handler: Handler,
    *,
    fleet: str = FLEET,
    max_sessions: int | None = None,
    hosts: int | None = None,
    gateways: int = 1,
    autoscaling: dict[str, Any] | None = None,
    token: str | None = None,
    cpus_per_host: float = 1.0,
) -> Application:
    """Return a program as a Serve application, for ``serve.run`` or a Serve config file.

    Example::

        serve.run(fleet.application(handle, hosts=4), name="fleet", route_prefix="/")

    Args:
        handler: the program.
        fleet: the name of the fleet; the application must be run under the same name.
        max_sessions: how many sessions a host runs at the most; None: as the program says.
        hosts: how many hosts; None with ``autoscaling``, else 1.
        gateways: how many gateways.
        autoscaling: Serve's ``autoscaling_config``; by default the target is 70 % of
            ``max_sessions``.
        token: what callers must give as a bearer token; by default ``AVATARWIRE_FLEET_TOKEN``.
            Without it callers are not asked, and a gateway that other machines can reach
            refuses to run.
        cpus_per_host: how many CPUs the engine reserves for a host.
    """
    program = program_of(handler)
    most = program.max_sessions if max_sessions is None else max_sessions
    options: dict[str, Any] = {
        "max_ongoing_requests": most,
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "graceful_shutdown_timeout_s": program.drain_timeout_s + TURN_LIMIT_S + 5,
        "graceful_shutdown_wait_loop_s": 0.5,
        "ray_actor_options": {"num_cpus": cpus_per_host},
    }
    if autoscaling is not None:
        target = {"target_ongoing_requests": max(1, round(0.7 * most))}
        options["autoscaling_config"] = {**target, **autoscaling}
    else:
        options["num_replicas"] = hosts or 1
    token = token if token is not None else os.environ.get("AVATARWIRE_FLEET_TOKEN") or None

    host = serve.deployment(name="Host", **options)(Host).bind(handler, fleet, most)

    def build() -> FastAPI:
        return new_gateway(fleet, token)

    @serve.deployment(
        name="Gateway",
        num_replicas=gateways,
        max_ongoing_requests=1000,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={"num_cpus": 0},
    )
    @serve.ingress(build)
    class Gateway:
        def __init__(self, hosts: Any) -> None:
            del hosts  # it is named so that Serve runs them; the directory calls them
            open_gateway(fleet, token)

    built: Application = Gateway.bind(host)  # type: ignore[attr-defined] # Serve's decorator
    return built


def app(args: dict[str, Any]) -> Application:
    """Build the application from a Serve config file, whose ``args`` are these.

    ``program`` is ``module:handle``; ``hosts``, ``gateways``, ``autoscaling``, ``cpus_per_host``
    and ``fleet`` are those of ``application``.
    """
    values = dict(args)
    if "program" not in values:
        raise FleetError("args of the config file: program: module:handle is missing")
    return application(load_program(values.pop("program")), **values)


def open_gateway(fleet: str, token: str | None) -> None:
    """Make sure that a gateway may be reached where Serve listens, and that it has a directory.

    Raises:
        SettingError: other machines can reach it, and there is no token.
    """
    require_token(listening_address(), token)
    start_directory(fleet)


def listening_address() -> str | None:
    """Return where Serve listens for the gateways of this cluster; None where it does not."""
    controller: Any = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    options: Any = ray.get(controller.get_http_config.remote(), timeout=ASK_SERVE_LIMIT_S)
    address: str | None = options.host
    return address


def _is_loopback(address: str) -> bool:
    """Return whether nobody but this machine reaches an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def require_token(address: str | None, token: str | None) -> None:
    """Refuse an open gateway that other machines can reach.

    Raises:
        SettingError: there is no token, or one too short.
    """
    if address is None or _is_loopback(address):
        return
    if token is None or len(token) < 16:
        raise SettingError(
            f"other machines can reach {address}: set AVATARWIRE_FLEET_TOKEN to 16 characters or"
            " more, which callers give as a bearer token",
            setting="AVATARWIRE_FLEET_TOKEN",
        )
