from collections import deque

import pytest

from avatarwire.cli.app import run
from avatarwire.emulator import AkoolFaults, DiscoveryFault, Faults, Stall, StartFault


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Faults]:
    """The faults of each platform that a command would have run."""
    seen: list[Faults] = []

    def stop_at_once(*, faults: Faults, **_: object) -> None:
        seen.append(faults)
        raise KeyboardInterrupt

    monkeypatch.setattr("avatarwire.cli.platforms.liveavatar.LiveAvatarEmulator", stop_at_once)
    monkeypatch.setattr("avatarwire.cli.platforms.akool.AkoolEmulator", stop_at_once)
    return seen


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ([], Faults()),
        (["cut-after-frames=50"], Faults(cut_after_frames=50)),
        (["close=1011@20"], Faults(close_code=1011, close_after_messages=20)),
        (["close=4000"], Faults(close_code=4000, close_after_messages=1)),
        (["stop-reading=7"], Faults(stop_reading_after=7)),
        (["no-init"], Faults(withhold_init=True)),
        (
            ["withhold=session.state", "withhold=scene.ready"],
            Faults(withhold={"session.state", "scene.ready"}),
        ),
        (["delay=250"], Faults(delay_s=0.25)),
        (["garble=3", "duplicate=4"], Faults(garble_every=3, duplicate_every=4)),
        (["reorder=5"], Faults(reorder_every=5)),
        (["expire-tokens=0"], Faults(token_life_s=0)),
        (
            ["refuse-start=40001x2", "refuse-start=503", "no-answer=1"],
            Faults(
                starts=deque(
                    [
                        StartFault(code=40001),
                        StartFault(code=40001),
                        StartFault(status=503),
                        StartFault(no_answer=True),
                    ]
                )
            ),
        ),
        (
            ["refuse-handshake=503x2", "refuse-handshake=1008"],
            Faults(handshakes=deque([503, 503, 1008])),
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for_goes_wrong(
    served: list[Faults], values: list[str], faults: Faults
) -> None:
    options = [word for value in values for word in ("--fault", value)]
    assert run(["serve", "liveavatar", *options]) == 130
    assert served == [faults]


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        (["withhold=ack", "withhold=pong"], AkoolFaults(withhold={"ack", "pong"})),
        (["close=1013@3"], AkoolFaults(close_code=1013, close_after_messages=3)),
        (["refuse-handshake=401x2"], AkoolFaults(handshakes=deque([401, 401]))),
        (
            ["refuse-discovery=503", "no-answer=1"],
            AkoolFaults(
                discoveries=deque([DiscoveryFault(status=503), DiscoveryFault(no_answer=True)])
            ),
        ),
    ],
)
def test_akool_has_faults_of_its_own(
    served: list[object], values: list[str], faults: AkoolFaults
) -> None:
    options = [word for value in values for word in ("--fault", value)]
    assert run(["serve", "akool", *options]) == 130
    assert served == [faults]


@pytest.mark.parametrize(("platform", "make"), [("liveavatar", Faults), ("akool", AkoolFaults)])
def test_each_platform_can_have_a_slow_link(served: list[object], platform: str, make) -> None:
    values = ["bandwidth=350kbit", "latency=80", "jitter=40", "stall=3s@5s", "stall=0.5"]
    options = [word for value in values for word in ("--fault", value)]
    assert run(["serve", platform, *options]) == 130
    assert served == [
        make(
            bandwidth_bit_s=350e3,
            latency_s=0.08,
            jitter_s=0.04,
            stalls=[Stall(3.0, 5.0), Stall(0.5, 0.0)],
        )
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("close", "a close code is 1000 to 4999"),
        ("close=1006", "one that can be sent, not '1006'; write close=CODE[@N]"),
        ("close=1011@0", "the count of messages is a whole number from 1, not '0'"),
        ("cut-after-frames=-1", "write cut-after-frames=N"),
        ("cut-after-frames=\u0663", "whole number"),
        ("refuse-start=700", "700 is neither an HTTP status nor a code of the platform"),
        ("refuse-start=40001x", "the number of times"),
        ("refuse-handshake=600", "neither an HTTP status (400 to 599) nor a close code"),
        ("refuse-handshake=40001", "40001 is neither"),
        ("delay=nan", "a time in milliseconds is a number from 0"),
        ("delay=soon", "not 'soon'; write delay=MS"),
        ("no-init=1", "it takes no value; write no-init"),
        ("withhold=", "the name of an event is missing"),
        ("bandwidth=350", "a bandwidth is 1kbit to 10000Mbit a second, not '350'"),
        ("bandwidth=nankbit", "not 'nankbit'; write bandwidth=350kbit"),
        ("stall=3s@soon", "not 'soon'; write stall=3s[@5s]"),
        ("latency=", "a time in milliseconds"),
        ("flood=3", "no fault 'flood'; there are cut-after-frames, close"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    served: list[Faults], capfd: pytest.CaptureFixture[str], value: str, words: str
) -> None:
    assert run(["serve", "liveavatar", "--fault", value]) == 2
    output, errors = capfd.readouterr()
    assert (output, errors.count("\n"), served) == ("", 1, [])
    assert words in errors


def test_the_help_lists_every_fault(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "liveavatar", "--help"]) == 0
    output, _ = capfd.readouterr()
    assert "  close=CODE[@N] " in output
    assert "  refuse-handshake=CODE[xTIMES] " in output
    once = [line for line in output.splitlines() if "xTIMES" in line]
    assert [line.endswith(" (1 time)") for line in once] == [True, True]
    assert max(map(len, output.splitlines())) <= 80
