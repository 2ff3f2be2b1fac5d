"""What a user writes: one coroutine function, and what a host needs to know to run it."""

import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from avatarwire.errors import SettingError
from avatarwire.fleet.errors import FleetError
from avatarwire.liveavatar import AvatarAgentConfig

__all__ = ["Handler", "Job", "Program", "load_program", "program_of", "session"]

Handler: TypeAlias = Callable[..., Awaitable[object]]
HandlerT = TypeVar("HandlerT", bound=Handler)

PLATFORMS = ("liveavatar",)
_ATTRIBUTE = "avatarwire_program"


@dataclass(slots=True, kw_only=True)
class Job:
    """One session, as its program sees it.

    Attributes:
        id: the fleet's id of the session; it stays the same on every host.
        avatar_id: which avatar.
        data: what the caller of ``start`` gave.
        resumed: the session was begun by another host, which has died or was drained.
        session_id: the platform's id; set before the program runs.
        host: the host that runs it.
        epoch: how often the session has been given to a host, this time included.
        on_say: called with the text of ``say`` in place of the platform's own voice.
    """

    id: str
    avatar_id: str
    data: Any = None
    resumed: bool = False
    session_id: str = ""
    host: str = ""
    epoch: int = 1
    on_say: Callable[[str], Awaitable[object]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How sessions of a program are run; ``session`` makes it.

    Attributes:
        platform: whose avatars.
        max_sessions: how many sessions one host runs at the most.
        max_starts_per_second: how many one host starts at the most.
        drain_timeout_s: how long sessions of a draining host may go on until they are handed over.
        settings: fields of the configuration, or a function of the ``Job`` that returns them.
        listener: makes each session's listener, from its ``Job``.
    """

    platform: str = "liveavatar"
    max_sessions: int = 500
    max_starts_per_second: float = 50.0
    drain_timeout_s: float = 60.0
    settings: Mapping[str, Any] | Callable[[Job], Mapping[str, Any]] = field(default_factory=dict)
    listener: Callable[[Job], object] | None = None

    def config(self, job: Job) -> AvatarAgentConfig:
        """Return the configuration of a job's session, from the settings and the environment.

        Raises:
            SettingError: a setting is missing or cannot work.
        """
        own = self.settings(job) if callable(self.settings) else self.settings
        values: dict[str, Any] = {
            "reconnect": True,
            **own,
        }
        values["avatar_id"] = job.avatar_id or os.environ.get("AVATARWIRE_AVATAR_ID", "")
        if (url := os.environ.get("AVATARWIRE_URL")) is not None:
            values.setdefault("base_url", url)
        values.setdefault("api_key", os.environ.get("AVATARWIRE_API_KEY", ""))
        return AvatarAgentConfig(**values)


def session(
    *,
    platform: str = "liveavatar",
    max_sessions: int = 500,
    max_starts_per_second: float = 50.0,
    drain_timeout_s: float = 60.0,
    settings: Mapping[str, Any] | Callable[[Job], Mapping[str, Any]] | None = None,
    listener: Callable[[Job], object] | None = None,
) -> Callable[[HandlerT], HandlerT]:
    """Make a coroutine function ``handle(agent, job)`` a program that a fleet runs.

    It is called when the session has started, and the session is stopped when it returns. It has
    ten seconds to return when the session ends otherwise.

    Example::

        @fleet.session(max_sessions=500)
        async def handle(agent: AvatarAgent, job: Job) -> None:
            async with agent.audio_stream(sample_rate=24000) as stream:
                await stream.write_all(synthesise(job.data["greeting"]))
            await agent.wait_closed()

    Args:
        platform: whose avatars: ``"liveavatar"``.
        max_sessions: how many sessions one host runs at the most.
        max_starts_per_second: how many one host starts at the most.
        drain_timeout_s: how long sessions of a draining host may go on until they are handed over.
        settings: fields of ``AvatarAgentConfig``, or a function of the ``Job`` that returns them.
            The key and the platform's address come from ``AVATARWIRE_API_KEY`` and
            ``AVATARWIRE_URL`` of the host unless they are here.
        listener: makes each session's listener, from its ``Job``.

    Raises:
        SettingError: a setting that cannot work.
    """
    if platform not in PLATFORMS:
        raise SettingError(
            f"platform must be {' or '.join(map(repr, PLATFORMS))}, not {platform!r}",
            setting="platform",
        )
    if not isinstance(max_sessions, int) or max_sessions < 1:
        raise SettingError(
            f"max_sessions must be a whole number, 1 or more, not {max_sessions!r}",
            setting="max_sessions",
        )
    for name, value in (
        ("max_starts_per_second", max_starts_per_second),
        ("drain_timeout_s", drain_timeout_s),
    ):
        if not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise SettingError(f"{name} must be a positive number, not {value!r}", setting=name)
    program = Program(
        platform=platform,
        max_sessions=max_sessions,
        max_starts_per_second=max_starts_per_second,
        drain_timeout_s=drain_timeout_s,
        settings=settings if settings is not None else {},
        listener=listener,
    )

    def mark(handler: HandlerT) -> HandlerT:
        setattr(handler, _ATTRIBUTE, program)
        return handler

    return mark


def program_of(handler: object) -> Program:
    """Return how a handler's sessions are run.

    Raises:
        FleetError: it is not marked as a program.
    """
    program = getattr(handler, _ATTRIBUTE, None)
    if not isinstance(program, Program):
        name = getattr(handler, "__name__", type(handler).__name__)
        raise FleetError(f"{name} is no program of a fleet: put @fleet.session(...) above it")
    return program


def load_program(path: str) -> Handler:
    """Import the handler that ``module:name`` names.

    Raises:
        FleetError: there is none.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise FleetError(f"{path!r} names no program: write it as module:handle")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        missing = exc.name or module_name
        raise FleetError(
            f"cannot import {module_name}: there is no module {missing!r} here"
        ) from None
    handler = getattr(module, name, None)
    if handler is None:
        raise FleetError(f"module {module_name} has no {name!r}")
    program_of(handler)
    return handler  # type: ignore[no-any-return]
