"""The configuration refuses what cannot work, and keeps its secrets."""

import math
from dataclasses import fields

import pytest

from avatarwire import (
    AvatarAgent,
    AvatarAgentConfig,
    SessionStartResult,
    SettingError,
    SettingTypeError,
)


def test_defaults_are_those_of_the_published_sdk():
    config = AvatarAgentConfig("sk-1", "avatar-1")
    assert config.base_url == "https://facemarket.ai/vih/dispatcher"
    assert (config.sandbox, config.timeout, config.reconnect) == (False, 30.0, False)
    assert (config.developer_tts, config.developer_asr, config.voice_id) == (False, True, None)
    assert (config.reconnect_base_delay, config.reconnect_max_delay) == (1.0, 60.0)
    assert [field.name for field in fields(config)][:3] == ["api_key", "avatar_id", "base_url"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": None}, "api_key is empty"),
        ({"api_key": "sk-\n1"}, "no HTTP header can carry"),
        ({"api_key": "sk-1 "}, "a space or a line break at an end"),
        ({"base_url": "http://host:99999"}, "base_url must be"),
        ({"avatar_id": " "}, "avatar_id is empty"),
        ({"base_url": "facemarket.ai"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": "ftp://x"}, "base_url must be"),
        ({"base_url": "http://[::1"}, "base_url must be"),
        ({"base_url": None}, "base_url must be"),
        ({"timeout": 0}, "timeout must be a positive number of seconds, not 0"),
        ({"timeout": math.nan}, "timeout must be"),
        ({"timeout": "30"}, "timeout must be"),
        ({"ping_interval": True}, "ping_interval must be"),
        ({"max_message_bytes": 0}, "max_message_bytes must be a whole number of bytes, 1 or more"),
        ({"max_message_bytes": 1e6}, "not 1000000.0"),
        ({"max_message_bytes": True}, "not True"),
        ({"mode": " "}, "mode is empty"),
        ({"asr_partial_min_interval_ms": -1}, "asr_partial_min_interval_ms must be 0 or more"),
        ({"asr_partial_min_interval_ms": math.inf}, "asr_partial_min_interval_ms must be 0"),
        ({"external_audio_config": {"sampleRate": 22050}}, r"one of \(0, 16000, .*, not 22050"),
        ({"external_audio_config": {"sampleRate": "16000"}}, "not '16000'"),
        ({"external_audio_config": {"channels": 3}}, r"one of \(0, 1, 2\), not 3"),
        ({"external_audio_config": {"channels": True}}, "not True"),
        ({"external_audio_config": {"sampleRate": 24000.0}}, "not 24000.0"),
        ({"tts_sample_rate": 24000.0}, "tts_sample_rate must be 16000, .*, not 24000.0"),
        ({"tts_sample_rate": "24000"}, "not '24000'"),
        ({"tts_sample_rate": True}, "not True"),
        (
            {"external_audio_config": {"sample_rate": 16000}},
            "has the key 'sample_rate'; it takes sampleRate and channels",
        ),
        ({"extra_start_fields": {"mode": "x", "avatarId": "y"}}, "cannot override avatarId, mode"),
        ({"extra_start_fields": {"x": [math.nan]}}, "must be finite"),
        ({"voice_config": {"speed": math.inf}}, r"voice_config\['speed'\] must be finite"),
        (
            {"base_url": "https://host/x?token=secret-1"},
            r"base_url has a \? or a #: leave out what",
        ),
        ({"base_url": "https://host/#"}, r"base_url has a \? or a #"),
        ({"base_url": "ftp://host/x?token=secret-1"}, "dispatcher, not 'ftp://host/x'"),
        ({"voice_config": {"speed": 2**70}}, r"voice_config\['speed'\] must be within 64 bits"),
        ({"extra_start_fields": {"x": [2**70]}}, r"\['x'\]\[0\] must be within 64 bits"),
    ],
)
def test_unusable_field_is_named(changes, words):
    with pytest.raises(ValueError, match=words) as caught:
        AvatarAgentConfig(**{"api_key": "sk-1", "avatar_id": "a-1", **changes})
    assert isinstance(caught.value, SettingError)
    assert caught.value.setting == next(iter(changes))
    assert "secret-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": 123}, "api_key must be str, not int"),
        ({"mode": None}, "mode must be str, not NoneType"),
        ({"asr_partial_min_interval_ms": "5"}, "must be a number, not str"),
        ({"external_audio_config": [1]}, "external_audio_config must be a dict, not list"),
        ({"extra_start_fields": "x"}, "extra_start_fields must be a dict, not str"),
        ({"extra_start_fields": {"x": {1}}}, "extra_start_fields cannot be written as JSON"),
        ({"voice_id": 5}, "voice_id must be str, not int"),
        ({"voice_config": [1]}, "voice_config must be a dict, not list"),
        ({"voice_config": {"speed": "x"}}, r"voice_config\['speed'\] must be a number, not str"),
        ({"voice_config": {1: 1.0}}, "voice_config has the key 1"),
    ],
)
def test_wrong_type_is_named(changes, words):
    with pytest.raises(TypeError, match=words) as caught:
        AvatarAgentConfig(**{"api_key": "sk-1", "avatar_id": "a-1", **changes})
    assert isinstance(caught.value, SettingTypeError)
    assert caught.value.setting == next(iter(changes))


def test_no_secret_in_a_repr():
    config = AvatarAgentConfig("sk-secret", "avatar-1")
    result = SessionStartResult("s-1", "wss://sfu", "user-secret", "agent-secret", "ws://x?secret")
    assert "secret" not in repr(config) + str(config) + repr(result) + str(result)
    assert "avatar-1" in repr(config)
    assert "s-1" in repr(result)


def test_the_formats_of_accompaniment_that_the_platform_knows():
    for config in ({}, {"sampleRate": 0}, {"sampleRate": 44100, "channels": 2}, {"channels": 0}):
        AvatarAgentConfig("sk-1", "avatar-1", external_audio_config=config)


async def test_a_field_assigned_later_is_checked_before_the_rest_call():
    config = AvatarAgentConfig("sk-1", "avatar-1", base_url="http://127.0.0.1:9")
    config.external_audio_config = {"sampleRate": 8000}
    with pytest.raises(ValueError, match="not 8000"):
        await AvatarAgent(config, object()).start()
