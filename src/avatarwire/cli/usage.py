"""Options that are missing, or that would go unheard: refused before anything is done."""

import math
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["FiniteRange", "refuse_incomplete", "refuse_unheard"]


class FiniteRange(click.FloatRange):
    """Numbers within a range; a range alone has NaN in it, and infinity where it is open."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click's
        """Return the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def refuse_unheard(when: str, remedy: str, *names: str) -> None:
    """Refuse options on the command line that have no effect; the environment may hold any.

    Args:
        when: why they have none, such as ``without --url``.
        remedy: what to do about it.
        names: the parameters of the running command that are meant.

    Raises:
        click.UsageError: some of them were typed.
    """
    source = click.get_current_context().get_parameter_source
    typed = [_option(name) for name in names if source(name) is ParameterSource.COMMANDLINE]
    if typed:
        raise click.UsageError(f"{when} there is no use for {', '.join(typed)}: {remedy}.")


def refuse_incomplete(what: str, *names: str) -> None:
    """Refuse to begin without these parameters of the running command; all are told at once.

    Raises:
        click.UsageError: some of them are missing.
    """
    given = click.get_current_context().params
    missing = [f"AVATARWIRE_{name.upper()} or {_option(name)}" for name in names if not given[name]]
    if missing:
        raise click.UsageError(f"{what} needs more settings: set {'; '.join(missing)}.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
