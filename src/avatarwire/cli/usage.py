"""Options that are missing, or that would go unheard: refused before anything is done."""

import click
from click.core import ParameterSource

__all__ = ["refuse_incomplete", "refuse_unheard"]


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
