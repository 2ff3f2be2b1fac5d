"""How callbacks are called."""

import asyncio
import logging

import pytest

from avatarwire import AgentListener, AudioFrame
from avatarwire.liveavatar.listener import AUDIO_LANE_FRAMES, Callbacks
from avatarwire.session.callbacks import running_callback


async def settled(callbacks):
    callbacks.start()
    await asyncio.sleep(0)
    while any(waiting := [each.ended() for them in callbacks._waiting.values() for each in them]):
        await asyncio.wait(waiting)


async def test_every_method_does_nothing_by_default():
    listener = AgentListener()
    for name in (name for name in dir(AgentListener) if name.startswith("on_")):
        count = getattr(AgentListener, name).__code__.co_argcount - 1
        assert await getattr(listener, name)(*[None] * count) is None
        assert Callbacks(listener).call(name, *[None] * count) is None


async def test_callbacks_start_in_the_order_of_arrival_and_overlap():
    calls = []
    gate = asyncio.Event()

    class Listener(AgentListener):
        async def on_text_input(self, text, request_id):
            calls.append(text)
            await gate.wait()
            calls.append(f"{text} done")

    callbacks = Callbacks(Listener())
    for text in "abc":
        callbacks.call("on_text_input", text, "r")
    await asyncio.sleep(0)
    assert calls == ["a", "b", "c"]
    gate.set()
    await settled(callbacks)
    assert calls[3:] == ["a done", "b done", "c done"]


async def test_listener_may_be_any_object_sync_or_async():
    calls = []

    class Duck:
        def on_text_input(self, text, request_id):
            calls.append(text)

        on_error = "not callable"

    duck = Duck()
    duck.on_closed = lambda code, reason: calls.append(code)
    callbacks = Callbacks(duck)
    callbacks.call("on_text_input", "hi", "r")
    callbacks.call("on_closed", 1000, "")
    assert callbacks.call("on_error", "c", "m") is None
    assert callbacks.call("on_session_state", "IDLE") is None
    await settled(callbacks)
    assert calls == ["hi", 1000]


async def test_what_a_callback_raises_is_logged(caplog):
    class Listener(AgentListener):
        async def on_text_input(self, text, request_id):
            raise ZeroDivisionError("boom")

        async def on_event(self):  # another signature
            """Never reached."""

    callbacks = Callbacks(Listener())
    callbacks.call("on_text_input", "hi", "r")
    callbacks.call("on_event", {})
    await settled(callbacks)
    misfit = f"{Listener.on_event.__qualname__}() takes 1 positional argument but 2 were given"
    assert [record.getMessage() for record in caplog.records] == [
        "on_text_input raised",
        f"on_event takes other arguments than it is called with: {misfit}",
    ]
    assert "ZeroDivisionError: boom" in caplog.text
    assert all(record.levelno == logging.ERROR for record in caplog.records)


async def test_audio_frames_come_one_at_a_time():
    running = 0
    seen = []

    class Listener(AgentListener):
        async def on_audio_frame(self, frame):
            nonlocal running
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            seen.append(frame.seq)
            running -= 1

    callbacks = Callbacks(Listener())
    for seq in range(10):
        callbacks.hear([AudioFrame(seq=seq)])
    await settled(callbacks)
    callbacks.hear([AudioFrame(seq=10)])
    await settled(callbacks)
    assert seen == list(range(11))
    assert callbacks.dropped_frames == 0


async def test_slow_audio_callback_loses_the_oldest_frames_and_says_so(caplog):
    gate = asyncio.Event()
    seen = []

    class Listener(AgentListener):
        async def on_audio_frame(self, frame):
            await gate.wait()
            seen.append(frame.seq)

    callbacks = Callbacks(Listener())
    callbacks.hear([AudioFrame(seq=0)])
    callbacks.start()  # frame 0 is being handled now
    for seq in range(1, AUDIO_LANE_FRAMES + 6):
        callbacks.hear([AudioFrame(seq=seq)])
    gate.set()
    await settled(callbacks)
    assert callbacks.dropped_frames == 5
    assert seen == [0, *range(6, AUDIO_LANE_FRAMES + 6)]
    (told,) = caplog.records
    assert "on_audio_frame is slower than the audio" in told.getMessage()


async def test_audio_goes_nowhere_without_a_callback():
    callbacks = Callbacks(AgentListener())
    callbacks.hear([AudioFrame()])
    assert not callbacks._frames
    assert not callbacks._queue


async def test_cancel_spares_those_who_asked():
    class Listener(AgentListener):
        async def on_text_input(self, text, request_id):
            await asyncio.Event().wait()

    callbacks = Callbacks(Listener())
    spared = callbacks.call("on_text_input", "a", "r")
    doomed = callbacks.call("on_text_input", "b", "r")
    await asyncio.sleep(0)
    task = doomed.task
    assert callbacks.cancel(keep={spared}) == [task]
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()
    assert not spared.is_over
    task = spared.task
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_knows_the_callback_that_started_it():
    seen = []

    class Listener(AgentListener):
        async def on_text_input(self, text, request_id):
            async def child():
                seen.append(running_callback())

            await asyncio.gather(child())

    callbacks = Callbacks(Listener())
    task = callbacks.call("on_text_input", "a", "r")
    await settled(callbacks)
    assert seen == [task]
    assert running_callback() is None


async def test_onlookers_are_called_besides_but_not_for_sound():
    called = []

    class Listener:
        def __init__(self, name):
            self.name = name

        def on_text_input(self, text, request_id):
            called.append((self.name, text))

        def on_closed(self, code, reason):
            called.append((self.name, code))

        def on_audio_frame(self, frame):
            called.append((self.name, "sound"))

    callbacks = Callbacks(Listener("listener"), (Listener("onlooker"), AgentListener()))
    callbacks.add("on_text_input", "Hello", "r1")
    callbacks.hear([AudioFrame()])
    callbacks.start()
    await callbacks.call("on_closed", 1000, "").ended()
    assert called == [
        ("onlooker", "Hello"),
        ("listener", "Hello"),
        ("listener", "sound"),
        ("onlooker", 1000),
        ("listener", 1000),
    ]
