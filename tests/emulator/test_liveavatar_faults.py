import pytest

from avatarwire.emulator import Faults, StartFault


def test_a_fault_says_what_it_is() -> None:
    with pytest.raises(ValueError, match="name a fault"):
        StartFault()


@pytest.mark.parametrize(
    ("fault", "refuses"),
    [
        (StartFault(code=40001), True),
        (StartFault(status=500), True),
        (StartFault(html=True), True),
        (StartFault(no_answer=True), True),
        (StartFault(agent_ws_url=""), False),
    ],
)
def test_whether_a_session_comes_of_it(fault: StartFault, refuses: bool) -> None:
    assert fault.refuses is refuses


def test_starts_fail_in_order_and_then_no_more() -> None:
    faults = Faults()
    faults.starts.extend([StartFault(code=40001), StartFault(status=500)])
    assert [faults.next_start() for _ in range(3)] == [
        StartFault(code=40001),
        StartFault(status=500),
        None,
    ]
