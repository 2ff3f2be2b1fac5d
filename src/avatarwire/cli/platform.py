"""What the command knows of a platform: an entry of the table in ``platforms``."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from avatarwire.cli.checks import Checklist
from avatarwire.cli.faults import Fault
from avatarwire.cli.job import Job, Settings
from avatarwire.session import Session

__all__ = ["ACCOUNT", "Emulator", "Option", "Platform"]

#: The parameters that say who speaks.
ACCOUNT = ("api_key", "avatar_id")

#: What ``click.option`` returns.
Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Emulator(AbstractAsyncContextManager[object], Protocol):
    """A platform on this machine."""

    @property
    def sessions(self) -> Sequence[object]:
        """The sessions so far."""
        ...

    @property
    def playground_url(self) -> str:
        """Where a browser finds its page."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One platform, for ``stream``, ``doctor``, ``serve`` and ``play``.

    Attributes:
        title: its name, for people.
        open_job: checks the settings and opens its part of ``stream``; a click.UsageError says
            which setting cannot work.
        checks: the names of the doctor's checks, in order.
        check: makes them, with a test tone of so many samples a second.
        emulator: makes the platform that ``serve`` runs from ``host``, ``port``,
            ``allowed_hosts``, ``record_dir``, ``playground``, ``faults`` and the parameters of
            ``serve_options``.
        introduce: returns a running platform's URL, and the ways to point a client at it.
        callbacks: of which a listener has one at least.
        play: runs a session of a listener on a running platform, as a context manager.
        port: which port ``serve`` listens on by default.
        new_faults: makes the faults of an emulator, none of them asked for.
        faults: what ``--fault`` can ask for, by name.
        serve_options: options of ``serve`` that only this platform has, by parameter.
        quiet: the values of those with which the user says nothing by itself.
        options: options of the other commands that only this platform has, by parameter; their
            values are in ``Settings.own``.
        own_words: the names of the messages that open and end a session, which ``replay`` leaves
            to the new one.
        needs: the parameters without which another platform than the local one is of no use.
        url_hint: what ``--url`` is here, where it is not the platform's base URL.
        refuses: options of other platforms which its own words refuse.
    """

    title: str
    open_job: Callable[[Settings], AbstractContextManager[Job]]
    checks: tuple[str, ...]
    check: Callable[[Checklist, Settings, int], None]
    emulator: Callable[..., Emulator]
    introduce: Callable[[Any], tuple[str, list[str]]]
    callbacks: tuple[str, ...]
    play: Callable[[Any, Any], AbstractAsyncContextManager[Session]]
    port: int
    new_faults: Callable[[], object]
    faults: Mapping[str, Fault]
    serve_options: Mapping[str, Option] = field(default_factory=dict)
    quiet: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    own_words: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ACCOUNT
    url_hint: str = ""
    refuses: tuple[str, ...] = ()
