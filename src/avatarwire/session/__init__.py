"""One engine for the sessions of every platform: their life, what they send, what they tell.

``Session`` is what all of them can do, ``Conversation`` what those can that carry the user too;
``Utterance`` and ``SceneGate`` are for adapters. The rest is for writing a platform: a ``Dialect``
has its words, a ``Part`` knows what happens, a ``Reporter`` tells the program, and an ``Engine``
runs them.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.session.callbacks import CallbackTasks, RunningCallback, running_callback
    from avatarwire.session.conversation import Conversation, SceneGate
    from avatarwire.session.dialect import Connect, Dialect, Endpoint, Part, Reporter, Tap
    from avatarwire.session.engine import Engine
    from avatarwire.session.lifecycle import End, Lifecycle, Retry, State
    from avatarwire.session.observing import Observers
    from avatarwire.session.outbox import Outbox, SoundLine
    from avatarwire.session.session import Session
    from avatarwire.session.stats import AgentStats
    from avatarwire.session.utterance import Utterance

__all__ = [
    "AgentStats",
    "CallbackTasks",
    "Connect",
    "Conversation",
    "Dialect",
    "End",
    "Endpoint",
    "Engine",
    "Lifecycle",
    "Observers",
    "Outbox",
    "Part",
    "Reporter",
    "Retry",
    "RunningCallback",
    "SceneGate",
    "Session",
    "SoundLine",
    "State",
    "Tap",
    "Utterance",
    "running_callback",
]

_HOMES = {
    "avatarwire.session.callbacks": "CallbackTasks RunningCallback running_callback",
    "avatarwire.session.conversation": "Conversation SceneGate",
    "avatarwire.session.dialect": "Connect Dialect Endpoint Part Reporter Tap",
    "avatarwire.session.engine": "Engine",
    "avatarwire.session.lifecycle": "End Lifecycle Retry State",
    "avatarwire.session.observing": "Observers",
    "avatarwire.session.outbox": "Outbox SoundLine",
    "avatarwire.session.session": "Session",
    "avatarwire.session.stats": "AgentStats",
    "avatarwire.session.utterance": "Utterance",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
