"""What today's platform tells, over a real socket."""

import asyncio

from agents import Recorder, config_for

from avatarwire import AvatarAgent, ResourceTransitionData
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder


async def test_the_platforms_recogniser_is_heard_and_answers_for_nobody():
    listener = Recorder()
    emulator = LiveAvatarEmulator(
        greeting=None, user_audio=bytes(3200), user_transcript="good morning"
    )
    async with emulator, AvatarAgent(config_for(emulator), listener):
        text, request = await listener.wait_for("on_text_input")
        await listener.wait_for("on_asr_final")
    assert text == "good morning"
    assert listener.named("on_voice_start") == [(request,)]
    assert listener.named("on_asr_partial") == [("good", request, 1), ("good morning", request, 2)]
    assert listener.named("on_voice_finish") == [(request,)]
    assert listener.named("on_asr_final") == [("good morning", request)]
    assert listener.named("on_event") == []


async def test_a_recognised_text_never_calls_on_text_input_by_itself(session, listener):
    await session.send_event(MessageBuilder.input_asr_partial("r", "he", 1))
    await session.send_event(MessageBuilder.input_asr_final("r", "hello"))
    await session.send_event({"event": "test.marker"})
    await listener.wait_for("on_event")
    assert listener.named("on_text_input") == []
    assert listener.named("on_asr_final") == [("hello", "r")]


async def test_a_platforms_interrupt_ends_the_turn_that_it_stops(agent, session, listener):
    async with agent.audio_stream("r") as turn:
        await turn.write(bytes(96_000))
        await session.send_event(MessageBuilder.control_interrupt("another"))
        await session.send_event(MessageBuilder.control_interrupt("r", None, "BGM_ONLY"))
        await listener.wait_for("on_interrupt", 2)
        assert turn.is_open
        await session.send_event(MessageBuilder.control_interrupt("r"))
        await listener.wait_for("on_interrupt", 3)
        assert not turn.is_open
    assert (await turn.wait_playout()).reason == "interrupted"
    assert listener.named("on_interrupt") == [
        ("another", None),
        ("r", "BGM_ONLY"),
        ("r", None),
    ]
    await session.wait_for("response.audio.finish")
    assert "control.interrupt" not in {event["event"] for event in session.events}


async def test_a_transition_is_told_unless_an_id_is_blank(agent, session, listener, caplog):
    def transition(previous, following):
        data = {"previousResourceId": previous, "nextResourceId": following}
        return {"event": "scene.resourceTransition", "data": data}

    for ids in (("a", ""), ("a", " "), ("a", "b")):
        await session.send_event(transition(*ids))
    assert await listener.wait_for("on_resource_transition") == (ResourceTransitionData("a", "b"),)
    assert list(agent.ignored_messages.values()) == [2]
    assert caplog.text.count("a resource id is blank") == 1


async def test_a_listener_is_any_object_with_some_of_the_methods(emulator):
    heard = asyncio.Queue()

    class Program:
        """No base class, sync and async, and a method of its own under a name of ours."""

        def on_asr_final(self, text, request_id):
            heard.put_nowait(text)

        async def on_response_state(self, event):
            heard.put_nowait(event.state)

        def on_interrupt(self):
            heard.put_nowait("never")

    async with AvatarAgent(config_for(emulator), Program()) as agent:
        (session,) = emulator.sessions
        await session.send_event(MessageBuilder.control_interrupt("r"))
        await session.send_event(MessageBuilder.input_asr_final("r", "hi"))
        assert await asyncio.wait_for(heard.get(), 5) == "hi"
        async with agent.response_stream("r"):
            pass
        assert await asyncio.wait_for(heard.get(), 5) == "ACCEPTED"
        assert await asyncio.wait_for(heard.get(), 5) == "FINISHED"
