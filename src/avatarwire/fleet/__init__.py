"""More sessions than one machine runs: a fleet of hosts on Ray Serve.

A program is one coroutine function, marked by ``session``; ``application`` makes it what Serve
runs, and ``start`` starts a session on a host with room.
"""

from avatarwire._frameworks import require_framework

require_framework("avatarwire.fleet", "fleet", "ray", "2.50.0", "3")

from avatarwire.fleet.client import FleetSession, start
from avatarwire.fleet.deploying import app, application
from avatarwire.fleet.errors import FleetError, NoCapacityError, UnknownSessionError
from avatarwire.fleet.program import Job, Program, load_program, session

__all__ = [
    "FleetError",
    "FleetSession",
    "Job",
    "NoCapacityError",
    "Program",
    "UnknownSessionError",
    "app",
    "application",
    "load_program",
    "session",
    "start",
]
