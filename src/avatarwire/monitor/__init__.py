"""Sessions shown live to whoever looks on: a terminal, a page.

Nothing here knows a platform; what can be recorded can be shown.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.monitor.feed import Feed
    from avatarwire.monitor.serving import Monitor, serve

__all__ = ["Feed", "Monitor", "serve"]

_HOMES = {
    "avatarwire.monitor.feed": "Feed",
    "avatarwire.monitor.serving": "Monitor serve",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
