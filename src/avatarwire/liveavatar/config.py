"""What an agent is told before it starts, and what it learns when it has."""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from avatarwire._checks import UNUSABLE_KEY, is_any_whole, is_number, is_usable_key, is_whole
from avatarwire._json import dumps, require_writable
from avatarwire.codec.header import FRAME_RATES
from avatarwire.errors import SettingError, SettingTypeError
from avatarwire.transport import KeepsSecrets, made_of_secrets

if TYPE_CHECKING:
    import ssl

__all__ = ["AvatarAgentConfig", "SessionStartResult"]

#: What each key takes (protocol section 2); 0: as the voice.
_EXTERNAL_AUDIO_CHOICES = {
    "sampleRate": (0, 16000, 24000, 44100, 48000),
    "channels": (0, 1, 2),
}
_START_FIELDS = frozenset(
    {
        "avatarId",
        "mode",
        "voiceId",
        "voiceConfig",
        "externalAudioConfig",
        "sessionId",
        "rtcProvider",
    }
)


@made_of_secrets
@dataclass(eq=False)
class AvatarAgentConfig(KeepsSecrets):
    """Configuration of an ``AvatarAgent``.

    Raises:
        TypeError: a key, an id or a voice setting of another type than it has here.
        ValueError: an empty key or avatar id, a base URL that is not http(s), a time that is not a
            positive number, a voice setting that is not finite, a format of accompaniment that the
            platform does not know, an extra start field that is not extra.

    Attributes:
        api_key: the platform's API key, kept as ``Secret`` text. It belongs on a server, and is in
            no log, no repr and no traceback with locals.
        avatar_id: which avatar to drive.
        base_url: where the platform answers REST; without ``name:password@``, which would take the
            place of the key, and without ``?`` and ``#``.
        sandbox: send ``X-Env-Sandbox: true``.
        timeout: seconds for each HTTP request and for the WebSocket handshake.
        developer_tts: the backend sends audio itself. For the reader; nothing is sent for it.
        developer_asr: the backend recognises speech itself. For the reader; nothing is sent for it.
        voice_id: a voice other than the avatar's own.
        voice_config: ``volume``, ``speed``, ``stability``, ``similarity_boost``, ``style``,
            ``pitch``; None values are left out.
        external_audio_config: the format of accompaniment: ``sampleRate`` 0, 16000, 24000, 44100 or
            48000 Hz and ``channels`` 0, 1 or 2; 0 or absent: as the voice.
        reconnect: restore a lost connection, within the same session.
        reconnect_base_delay: seconds; before the first attempt a random part of it passes, before
            each further one of twice as much.
        reconnect_max_delay: seconds; the most that it grows to.
        reconnect_max_attempts: attempts in a row before the session counts as lost.
        reconnect_buffer_bytes: how much may wait to be sent while there is no connection.
        on_gap: what becomes of a turn of speech when the connection is lost and restored:
            ``"resume"``: it begins anew with what had not been played, two seconds at the most;
            ``"drop"``: what was queued or is written meanwhile is dropped; ``"fail"``: it ends.
            An open text response or prompt is sent again from its start with ``"resume"``, so its
            beginning may be heard twice; with the other two its next call raises
            ``ResponseStreamStateError`` (``PromptStreamStateError``), and the session goes on.
        start_retries: how often a start is repeated at the most while the platform is short of
            capacity; 0: never.
        ping_interval: seconds between WebSocket pings.
        ping_timeout: seconds without a pong after which the peer counts as gone.
        max_message_bytes: the longest message taken from the platform, in bytes; a longer one ends
            the connection with 1009.
        tts_sample_rate: what audio streams send, whatever is written to them: 16000, 24000 or
            48000 Hz; None: as written.
        mode: which kind of session to start; this package speaks the one of the default.
        rtc_provider: whose video room the browser joins, such as ``"livekit"`` or ``"agora"``;
            None: the platform's choice.
        extra_start_fields: further fields of the start request, for what the platform adds next.
        asr_partial_min_interval_ms: milliseconds between two partial results of an utterance at
            the least; what comes sooner is superseded. 0: each change is sent at once.
        ssl_context: what to trust in place of the system's authorities; certificates are always
            verified.
    """

    api_key: str = field(repr=False)
    avatar_id: str
    base_url: str = "https://facemarket.ai/vih/dispatcher"
    sandbox: bool = False
    timeout: float = 30.0
    developer_tts: bool = False
    developer_asr: bool = True
    voice_id: str | None = None
    voice_config: dict[str, float | None] | None = None
    external_audio_config: dict[str, int] | None = None
    reconnect: bool = False
    reconnect_base_delay: float = 1.0
    reconnect_max_delay: float = 60.0
    _: KW_ONLY
    reconnect_max_attempts: int = 10
    reconnect_buffer_bytes: int = 1_048_576
    on_gap: Literal["resume", "drop", "fail"] = "resume"
    start_retries: int = 3
    ping_interval: float = 5.0
    ping_timeout: float = 20.0
    max_message_bytes: int = 1_048_576
    tts_sample_rate: int | None = None
    mode: str = "websocketAgent"
    rtc_provider: str | None = None
    extra_start_fields: Mapping[str, Any] | None = None
    asr_partial_min_interval_ms: float = 0
    ssl_context: "ssl.SSLContext | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every field; ``start()`` checks again, since fields can be assigned.

        Raises:
            TypeError, ValueError: see the class.
        """
        for name, hint in (
            ("api_key", "get one from the platform's console"),
            ("avatar_id", "the platform's console lists them"),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise SettingTypeError(
                    f"{name} must be str, not {type(value).__name__}", setting=name
                )
            if not value or not value.strip():
                raise SettingError(f"{name} is empty: {hint}", setting=name)
        if not is_usable_key(self.api_key):
            raise SettingError(
                UNUSABLE_KEY,
                setting="api_key",
            )
        if self.voice_id is not None and not isinstance(self.voice_id, str):
            raise SettingTypeError(
                f"voice_id must be str, not {type(self.voice_id).__name__}", setting="voice_id"
            )
        self._validate_base_url()
        for name in ("timeout", "ping_interval", "ping_timeout"):
            value = getattr(self, name)
            if not is_number(value) or not value > 0:
                raise SettingError(
                    f"{name} must be a positive number of seconds, not {value!r}", setting=name
                )
        self._validate_reconnection()
        if not is_any_whole(self.max_message_bytes) or self.max_message_bytes < 1:
            raise SettingError(
                "max_message_bytes must be a whole number of bytes, 1 or more, not"
                f" {self.max_message_bytes!r}",
                setting="max_message_bytes",
            )
        rate = self.tts_sample_rate
        if rate is not None and not (is_any_whole(rate) and rate in FRAME_RATES):
            raise SettingError(
                f"tts_sample_rate must be 16000, 24000, 48000 or None, not {rate!r}",
                setting="tts_sample_rate",
            )
        self._validate_asr_interval()
        self._validate_voice_config()
        self._validate_external_audio_config()
        self._validate_start_fields()

    def _validate_asr_interval(self) -> None:
        interval_ms = self.asr_partial_min_interval_ms
        if not is_number(interval_ms):
            raise SettingTypeError(
                f"asr_partial_min_interval_ms must be a number, not {type(interval_ms).__name__}",
                setting="asr_partial_min_interval_ms",
            )
        if not 0 <= interval_ms < math.inf:
            raise SettingError(
                f"asr_partial_min_interval_ms must be 0 or more milliseconds, not {interval_ms!r}",
                setting="asr_partial_min_interval_ms",
            )

    def _validate_external_audio_config(self) -> None:
        config = self.external_audio_config
        if config is None:
            return
        if not isinstance(config, Mapping):
            raise SettingTypeError(
                f"external_audio_config must be a dict, not {type(config).__name__}",
                setting="external_audio_config",
            )
        for name, value in config.items():
            choices = _EXTERNAL_AUDIO_CHOICES.get(name)
            if choices is None:
                raise SettingError(
                    f"external_audio_config has the key {name!r}; it takes "
                    + " and ".join(_EXTERNAL_AUDIO_CHOICES),
                    setting="external_audio_config",
                )
            if not is_any_whole(value) or value not in choices:
                raise SettingError(
                    f"external_audio_config[{name!r}] must be one of {choices}, not {value!r}",
                    setting="external_audio_config",
                )

    def _validate_start_fields(self) -> None:
        if not isinstance(self.mode, str):
            raise SettingTypeError(
                f"mode must be str, not {type(self.mode).__name__}", setting="mode"
            )
        if not self.mode.strip():
            raise SettingError(
                "mode is empty: websocketAgent is what this package speaks", setting="mode"
            )
        provider = self.rtc_provider
        if provider is not None and not (isinstance(provider, str) and provider.strip()):
            kind = SettingError if isinstance(provider, str) else SettingTypeError
            raise kind(
                'rtc_provider must be text such as "livekit" or "agora", or None, not'
                f" {provider!r}",
                setting="rtc_provider",
            )
        fields = self.extra_start_fields
        if fields is None:
            return
        if not isinstance(fields, Mapping):
            raise SettingTypeError(
                f"extra_start_fields must be a dict, not {type(fields).__name__}",
                setting="extra_start_fields",
            )
        taken = sorted(_START_FIELDS.intersection(fields))
        if taken:
            raise SettingError(
                f"extra_start_fields cannot override {', '.join(taken)}: the configuration has"
                " a field of its own for each",
                setting="extra_start_fields",
            )
        try:
            require_writable("extra_start_fields", fields)
            dumps(dict(fields))
        except ValueError as exc:
            raise SettingError(str(exc), setting="extra_start_fields") from None
        except TypeError as exc:
            raise SettingTypeError(
                f"extra_start_fields cannot be written as JSON: {exc}", setting="extra_start_fields"
            ) from exc

    def _validate_voice_config(self) -> None:
        if self.voice_config is None:
            return
        if not isinstance(self.voice_config, Mapping):
            raise SettingTypeError(
                f"voice_config must be a dict, not {type(self.voice_config).__name__}",
                setting="voice_config",
            )
        for name, number in self.voice_config.items():
            if not isinstance(name, str):
                raise SettingTypeError(
                    f"voice_config has the key {name!r}; keys are text such as 'speed'",
                    setting="voice_config",
                )
            if number is None:
                continue
            if not is_number(number):
                raise SettingTypeError(
                    f"voice_config[{name!r}] must be a number, not {type(number).__name__}",
                    setting="voice_config",
                )
            try:
                require_writable(f"voice_config[{name!r}]", number)
            except ValueError as exc:
                raise SettingError(str(exc), setting="voice_config") from None

    def _validate_reconnection(self) -> None:
        for name in ("reconnect_base_delay", "reconnect_max_delay"):
            value = getattr(self, name)
            if not is_number(value) or not value >= 0:
                raise SettingError(
                    f"{name} must be a number of seconds, 0 or more, not {value!r}", setting=name
                )
            if value == math.inf:
                raise SettingError(f"{name} must be finite", setting=name)
        for name in ("reconnect_max_attempts", "reconnect_buffer_bytes", "start_retries"):
            value = getattr(self, name)
            if not is_whole(value) or value < 0:
                raise SettingError(
                    f"{name} must be a whole number, 0 or more, not {value!r}", setting=name
                )
        if self.on_gap not in {"resume", "drop", "fail"}:
            raise SettingError(
                f'on_gap must be "resume", "drop" or "fail", not {self.on_gap!r}', setting="on_gap"
            )

    def _validate_base_url(self) -> None:
        try:
            url = urlsplit(self.base_url)
            usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
            has_credentials = url.username is not None
        except (ValueError, AttributeError):
            usable = has_credentials = False
        if has_credentials:
            raise SettingError(
                "base_url has a name or a password before its host: leave them out, the platform is"
                " told the API key",
                setting="base_url",
            )
        if usable and set("?#") & set(self.base_url):
            raise SettingError(
                "base_url has a ? or a #: leave out what begins there, paths are added to its end",
                setting="base_url",
            )
        if not usable:
            # What is before an @ may be a password, and what is behind a ? a token.
            shown = self.base_url
            if isinstance(shown, str):
                shown = shown.partition("?")[0]
                if "@" in shown:
                    shown = f"***@{shown.rpartition('@')[2]}"
            raise SettingError(
                "base_url must be an http:// or https:// URL such as "
                f"https://facemarket.ai/vih/dispatcher, not {shown!r}",
                setting="base_url",
            )


@dataclass(eq=False)
class SessionStartResult(KeepsSecrets):
    """What the platform gave for a session. Tokens are ``Secret`` text: no repr shows them.

    Attributes:
        session_id: the session's id.
        sfu_url: where the browser joins the video room.
        user_token: what the browser joins it with.
        agent_token: only in the platform's RTC mode.
        agent_ws_url: where the agent connected; it holds a one-time token and is spent.
        join_url: where the browser joins, for a video room that has such an address.
        extra: further fields of the platform's answer, by the platform's names; no repr shows them.
        resumed: the session had been started before, by another process or before a reconnection.
    """

    session_id: str
    sfu_url: str
    user_token: str = field(repr=False)
    agent_token: str | None = field(default=None, repr=False)
    agent_ws_url: str | None = field(default=None, repr=False)
    join_url: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    resumed: bool = False
