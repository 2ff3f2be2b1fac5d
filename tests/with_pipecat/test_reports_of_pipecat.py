"""What users of Pipecat's transports report in public: each as a test that the naive one fails."""

import asyncio
import gc
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from conftest import config_for
from lines import Line, pieces, sound, turn
from naive import HastyOutput, NaiveOutput
from pipecat.frames.frames import InterruptionFrame, TTSStartedFrame, TTSStoppedFrame
from virtual import PatientLoop

from avatarwire import AvatarAgent
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.pipecat import AvatarTransport

REPORTS = {}


def report(*threads, loop=None, **pipeline):
    """Enter a test under the threads that it is about, and the settings of its pipeline."""

    def enter(test):
        REPORTS[" ".join(threads)] = test, loop, pipeline
        return test

    return enter


def spoken(line):
    return b"".join(bytes(each.pcm) for each in line.session.turns)


def spoken_ms(line):
    """Return for how long it was heard, at the rates that the frames themselves say."""
    return sum(each.format.ms(len(each.pcm)) for each in line.session.turns)


def is_all_of(pcm, heard):
    """Return whether all was heard, but for what fills the framework's last chunk up."""
    return heard[: len(pcm)] == pcm and not heard[len(pcm) :].strip(b"\0")


@report("pipecat#5592", "#5593", rate=16000)
async def six_seconds_are_not_two(line):
    await line.put(*turn(sound(6000)))
    await line.until(lambda: line.stopped, 12)
    assert line.stopped[0] - line.started[0] == pytest.approx(6, rel=0.01)
    assert len(spoken(line)) / 32000 == pytest.approx(6, abs=0.05)


@report("pipecat#5216", "#5424", loop=PatientLoop)
async def the_peer_stops_reading(line):
    line.emulator.faults.stop_reading_after = 2
    second = sound(1000)
    await line.put(*turn(second))
    await asyncio.sleep(1)
    tracemalloc.start()
    try:
        for _ in range(20):
            await line.put(*turn(second))
        await asyncio.sleep(40)
        line.behind.frames.clear()
        kept_bytes = kept_by_us()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 20 * len(second) / 4
    assert line.agent.is_running
    await line.end(10)


def kept_by_us():
    """Return what is kept of all that was allocated, but for what the platform has not read."""
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    ours = snapshot.filter_traces([tracemalloc.Filter(False, "*/aiohttp/*")])
    return sum(each.size for each in ours.statistics("filename"))


@report("pipecat#5789", "#5797")
async def an_interrupt_to_a_peer_that_does_not_read(line):
    line.emulator.faults.stop_reading_after = 2
    await line.put(*turn(sound(1000)))
    await asyncio.sleep(0.3)
    await line.put(InterruptionFrame())
    await line.put(*turn(sound(300)))
    assert await line.end() < 10


@report("pipecat#4547", "#4578")
async def a_cut_before_the_end(line):
    await line.put(*turn(sound(200)))
    await line.until(lambda: line.stopped)
    line.session.cut()
    await line.session.wait_closed()
    assert await line.end() < 1.5


@report("pipecat#5386", rate=16000)
async def a_pause_is_no_end(line):
    await line.put(TTSStartedFrame())
    for _ in range(4):
        await line.put(*pieces(sound(300)))
        await asyncio.sleep(0.6)
    await line.put(TTSStoppedFrame())
    await line.until(lambda: line.stopped, 6)
    assert len(line.session.turns) == 1
    assert spoken_ms(line) == pytest.approx(1200, abs=45)
    assert len(line.started) == 1


@report("pipecat#3222", "#3315", "#4855")
async def just_in_time(line):
    await line.put(*turn(sound(1500)))
    await line.until(lambda: line.started)
    await asyncio.sleep(0.3)
    time.sleep(0.3)  # noqa: ASYNC251 - a loop that is blocked
    await line.until(lambda: line.session.turns[-1].outcome == "finished")
    assert line.session.turns[-1].underruns == 0
    assert is_all_of(sound(1500), spoken(line))


@report("pipecat#1898")
async def three_turns_back_to_back(line):
    said = [sound(230, begin=9000 * n) for n in range(1, 4)]
    for pcm in said:
        await line.put(*turn(pcm))
    await line.until(lambda: line.stopped and len(spoken(line)) >= 3 * 230 * 48)
    assert spoken(line)[: 3 * 230 * 48] == b"".join(said)
    assert await line.end() < 3
    assert is_all_of(b"".join(said), spoken(line))


@report("pipecat#1465")
async def an_end_after_each_chunk(line):
    pcm = sound(800)
    for piece in pieces(pcm):
        await line.put(TTSStartedFrame(), piece, TTSStoppedFrame())
    await line.until(lambda: line.stopped)
    assert is_all_of(pcm, spoken(line))
    assert [each.underruns for each in line.session.turns] == [0]


@report("pipecat#1142")
async def slow_motion(line):
    await line.put(*turn(sound(600, rate=48000, channels=2), rate=48000, channels=2))
    await line.until(lambda: line.stopped)
    assert len(spoken(line)) / 48 == pytest.approx(600, abs=45)
    assert line.stopped[0] - line.started[0] == pytest.approx(0.6, abs=0.1)


@report("pipecat#4151")
async def it_speaks_on_after_an_interruption(line):
    await line.put(*turn(sound(4000)))
    await line.until(lambda: line.started)
    await asyncio.sleep(0.3)
    await line.put(InterruptionFrame())
    interrupted_s = time.monotonic()
    await line.session.wait_for("control.interrupt", 1)
    assert time.monotonic() - interrupted_s < 0.3
    await asyncio.sleep(0.3)
    assert line.session.turns[-1].outcome == "interrupted"
    assert line.session.turns[-1].stale_frames == 0


@report("pipecat#4648")
async def a_recording_of_what_nobody_heard(line):
    await line.put(*turn(sound(3000)))
    await line.until(lambda: line.started)
    await asyncio.sleep(0.5)
    await line.put(InterruptionFrame())
    await line.until(lambda: line.stopped)
    heard_ms = (line.stopped[0] - line.started[0]) * 1000
    await asyncio.sleep(0.2)
    assert len(line.recorded) / 48 == pytest.approx(heard_ms, abs=60)
    assert line.recorded == sound(3000)[: len(line.recorded)]


@report("pipecat#1054", "#2184")
async def pieces_too_small_to_resample(line):
    pcm = sound(600, rate=44100)
    await line.put(*turn(pcm, rate=44100, piece_ms=10))
    await line.until(lambda: line.stopped)
    assert len(spoken(line)) / 48 == pytest.approx(600, abs=45)
    assert line.stopped[0] - line.started[0] == pytest.approx(0.6, abs=0.1)


@report("pipecat#764", "#3378", loop=PatientLoop)
async def calls_that_lag_each_other(line):
    lines = [line]
    for _ in range(99):
        agent = AvatarAgent(config_for(line.emulator), object())
        lines.append(await Line(type_of(line)(agent), agent, line.emulator).__aenter__())
    loop = asyncio.get_running_loop()
    late_s = []

    def watch(agent):
        due_s = None

        def look(direction, kind, message):
            nonlocal due_s
            if (direction, kind) == ("sent", "binary"):
                due_s = loop.time() if due_s is None else due_s
                late_s.append(loop.time() - due_s)
                due_s += (len(message) - 9) / 48000

        agent.tap(look)

    async def hold_all_up():
        while True:
            await asyncio.sleep(0.1)
            loop.stall(0.2)

    for each in lines:
        watch(each.agent)
    await asyncio.gather(*(each.put(*turn(sound(600))) for each in lines))
    holding = asyncio.create_task(hold_all_up())
    try:
        for session in line.emulator.sessions:
            await line.until(lambda session=session: len(session.pcm) >= 28800)
    finally:
        holding.cancel()
    assert [len(session.turns[0].pcm) for session in line.emulator.sessions] == [28800] * 100
    assert sorted(late_s)[len(late_s) * 99 // 100] <= 0
    assert sum(session.turns[0].underruns for session in line.emulator.sessions) == 0
    await asyncio.gather(*(each.end() for each in lines))


def ours(agent):
    return AvatarTransport(agent).output()


def judged(test):
    """Have a test say how it went, and end the process."""

    async def judge(line):
        outcome = "fails"
        try:
            async with asyncio.timeout(15):
                await test(line)
            outcome = "passes"
        except (AssertionError, TimeoutError):
            pass
        print(outcome, flush=True)  # noqa: T201 - for the test that has started it
        os._exit(0)

    return judge


def type_of(line):
    return NaiveOutput if isinstance(line.output, NaiveOutput) else ours


def run(make, threads):
    test, loop, pipeline = REPORTS[threads]
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run_on(make, test if make is ours else judged(test), pipeline))


async def run_on(make, test, pipeline):
    async with LiveAvatarEmulator(greeting=None) as emulator:
        agent = AvatarAgent(config_for(emulator, ping_timeout=600.0), object())
        async with Line(make(agent), agent, emulator, **pipeline) as line:
            await test(line)


@pytest.mark.parametrize("threads", REPORTS)
def test_a_report(threads):
    run(ours, threads)


@pytest.mark.parametrize("threads", REPORTS)
def test_the_naive_output_fails_it(threads):
    # In a process of its own, which nothing of it outlives: some of them end nothing.
    command = [sys.executable, __file__, threads]
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        command, env=os.environ | path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["fails"], done.stdout + done.stderr[-2000:]


def test_each_is_about_a_thread():
    assert len(REPORTS) == 13
    assert all(threads.startswith("pipecat#") for threads in REPORTS)


if __name__ == "__main__":
    run(HastyOutput if "#4648" in sys.argv[1] else NaiveOutput, sys.argv[1])
