"""What a session with a user in it can do, and how long speech waits for the user's browser."""

import logging

import pytest
from virtual import virtual

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient
from avatarwire.errors import NotConnectedError
from avatarwire.session import Conversation, SceneGate


class Browser(AvatarAgent):
    """An agent whose browser comes, or does not."""

    session_id = "session"

    def __init__(self, *answers):
        super().__init__(AvatarAgentConfig("key", "avatar"), AgentListener())
        self.answers = list(answers)
        self.asked = []

    async def scene_ready(self, timeout=None):  # noqa: ASYNC109
        self.asked.append(timeout)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


def test_which_sessions_carry_the_user():
    agent = AvatarAgent(AvatarAgentConfig("key", "avatar"), AgentListener())
    assert isinstance(agent, Conversation)
    assert not isinstance(StreamingAvatarClient("key", "avatar"), Conversation)


@virtual
async def test_speech_waits_once_a_session():
    browser = Browser(None, None)
    gate = SceneGate(browser)
    await gate.wait()
    await gate.wait()
    assert browser.asked == [5.0]
    browser.session_id = "another"
    await gate.wait()
    assert browser.asked == [5.0, 5.0]


@virtual
async def test_a_browser_that_does_not_come_is_told_once(caplog):
    gate = SceneGate(Browser(TimeoutError()))
    with caplog.at_level(logging.WARNING):
        await gate.wait()
        await gate.wait()
    assert caplog.text.count("the avatar is not shown after 5 s") == 1


@virtual
async def test_no_session_is_no_reason_to_wait():
    browser = Browser(NotConnectedError("not yet"), None)
    gate = SceneGate(browser)
    await gate.wait()
    await gate.wait()
    assert len(browser.asked) == 2


@virtual
async def test_a_platform_without_scenes_holds_nothing_back():
    await SceneGate(StreamingAvatarClient("key", "avatar")).wait()


@pytest.mark.parametrize("name", ["add_listener", "user_audio", "response_stream"])
def test_it_has_what_a_conversation_needs(name):
    assert callable(getattr(AvatarAgent, name))
