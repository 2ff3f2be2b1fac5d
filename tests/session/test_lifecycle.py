"""The rules of a session's life, by plain calls and in any order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from avatarwire.errors import ConnectFailedError, SessionLostError
from avatarwire.session.lifecycle import Dial, End, Lifecycle, Retry, State

CUT = SessionLostError(1006)
REFUSED = ConnectFailedError("HTTP 503", 503)


def opened(attempts=3, **changes):
    """A lifecycle whose first connection was confirmed at 0 s."""
    life = Lifecycle()
    retry = Retry(attempts, base_delay_s=1.0, max_delay_s=4.0, jitter=False, **changes)
    assert life.start(retry) == Dial(1, 0.0)
    life.opened(0.0)
    return life


def lose(life, now_s, *, is_final=False, error=CUT):
    return life.lost(error, is_final=is_final, now_s=now_s)


def test_a_start_is_one_attempt_unless_more_are_asked_for():
    life = Lifecycle()
    life.start(Retry())
    assert life.failed(REFUSED, is_final=False) == End(1000, "", REFUSED)
    life.start(Retry(), attempts=2)
    assert life.failed(REFUSED, is_final=False) == Dial(2, 0.0)
    assert life.failed(CUT, is_final=False) == End(1006, "", CUT)
    life.start(Retry(), attempts=2)
    assert life.failed(REFUSED, is_final=True) == End(1000, "", REFUSED)


@pytest.mark.parametrize(("attempts", "is_final"), [(0, False), (3, True)])
def test_a_loss_is_the_end_without_attempts_and_after_a_final_code(attempts, is_final):
    life = opened(attempts)
    assert lose(life, 9.0, is_final=is_final, error=SessionLostError(1008, "no")) == End(1008, "no")


def test_an_attempt_that_fails_after_the_end_is_not_repeated():
    life = Lifecycle()
    life.start(Retry(), attempts=5)
    life.opened(0.0)
    assert lose(life, 0.1) == End(1006, "")
    end = life.ended(End(1006, ""))
    assert life.failed(CUT, is_final=False) == end


def test_delays_double_up_to_their_limit_and_end_after_so_many_attempts():
    life = opened(attempts=4)
    assert lose(life, 9.0) == Dial(1, 1.0)
    assert life.state is State.GAP
    delays = [life.failed(REFUSED, is_final=False) for _ in range(3)]
    assert delays == [Dial(2, 2.0), Dial(3, 4.0), Dial(4, 4.0)]
    assert life.failed(REFUSED, is_final=False) == End(
        1006, "not reconnected in 4 attempts", REFUSED
    )


def test_another_endpoint_is_dialled_without_waiting_but_counts():
    life = opened(attempts=3)
    lose(life, 9.0)
    assert life.failed(REFUSED, is_final=False, has_more=True) == Dial(2, 0.0)
    assert life.failed(REFUSED, is_final=False, has_more=True) == Dial(3, 0.0)
    assert isinstance(life.failed(REFUSED, is_final=False, has_more=True), End)


def test_a_final_answer_ends_the_attempts():
    life = opened()
    lose(life, 9.0)
    end = life.failed(REFUSED, is_final=True)
    assert end == End(1006, "the platform refused to reconnect: HTTP 503", REFUSED)
    life = opened()
    lose(life, 9.0)
    final = SessionLostError(1008, "go away")
    assert life.failed(final, is_final=True) == End(1008, "go away", final)


def test_a_connection_that_is_dropped_at_once_counts_as_a_failed_attempt():
    life = opened(attempts=3)
    decision, now_s = lose(life, 9.0), 9.0
    dials = []
    while isinstance(decision, Dial):
        dials.append(decision)
        now_s += decision.delay_s
        life.opened(now_s)
        decision = lose(life, now_s + 0.1)
    assert dials == [Dial(1, 1.0), Dial(2, 2.0), Dial(3, 4.0)]
    assert decision.reason == "not reconnected in 3 attempts"


def test_where_something_came_attempts_begin_anew_and_after_a_while_delays_too():
    life = opened(attempts=3)
    assert lose(life, 9.0) == Dial(1, 1.0)
    life.opened(10.0)
    life.is_fruitful = True
    assert lose(life, 10.1) == Dial(1, 2.0)
    life.opened(20.0)
    assert lose(life, 28.0) == Dial(1, 1.0)


def test_the_first_attempt_may_be_at_once_after_a_connection_that_held():
    life = opened(first_at_once=True)
    assert lose(life, 9.0) == Dial(1, 0.0)
    life.opened(9.0)
    assert lose(life, 9.1) == Dial(2, 1.0)


def test_while_an_attempt_is_under_way_its_failure_decides():
    life = Lifecycle()
    life.start(Retry(3))
    assert lose(life, 0.0) is None
    life.opened(0.0)
    lose(life, 9.0)
    assert lose(life, 9.1) is None


def test_nothing_is_dialled_once_the_platform_closes_or_we_stop():
    life = opened()
    life.closing()
    assert lose(life, 9.0, error=SessionLostError(1001)) == End(1001, "")
    life = opened()
    life.stop()
    end = lose(life, 9.0)
    assert life.ended(end) == End(1000, "")  # ours, whatever the peer made of it
    life = opened()
    lose(life, 9.0)
    life.closing()
    assert isinstance(life.failed(REFUSED, is_final=False), End)


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: attempts are bounded, and an end is told once."""

    def __init__(self):
        super().__init__()
        self.life = Lifecycle()
        self.now_s = 0.0
        self.decision = None
        self.most = 3

    @precondition(lambda self: self.life.state is State.NEW)
    @rule(attempts=st.integers(0, 3))
    def start(self, attempts):
        self.most = attempts
        self.decision = self.life.start(Retry(attempts, jitter=False))
        assert self.life.end is None

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def confirm(self):
        before = self.life.state
        self.life.opened(self.now_s)
        assert (self.life.state is State.OPEN) == (before in {State.OPENING, State.OPEN, State.GAP})

    @rule(is_final=st.booleans())
    def lose(self, is_final):
        before = self.life.state
        decision = lose(self.life, self.now_s, is_final=is_final)
        if isinstance(decision, Dial):
            assert before is State.OPEN
            assert not is_final
            assert 1 <= decision.attempt <= self.most
            assert self.life.state is State.GAP
        elif decision is None:
            assert before in {State.OPENING, State.GAP}
        else:
            self.life.ended(decision)

    @precondition(lambda self: self.life.state in {State.OPENING, State.GAP})
    @rule(is_final=st.booleans(), has_more=st.booleans())
    def fail(self, is_final, has_more):
        decision = self.life.failed(REFUSED, is_final=is_final, has_more=has_more)
        if isinstance(decision, Dial):
            assert not is_final
            assert decision.attempt <= max(1, self.most)
        else:
            self.life.ended(decision)

    @rule()
    def something_comes(self):
        self.life.is_fruitful = True

    @rule()
    def platform_closes(self):
        self.life.closing()
        assert self.life.state not in {State.OPENING, State.OPEN, State.GAP}

    @precondition(lambda self: self.life.state is not State.NEW)
    @rule()
    def stop(self):
        told = self.life.end
        self.life.stop()
        # What has been told stays; an end that we asked for is ours, whatever the peer made of it.
        assert self.life.ended(End(1006, "")) == (told or End(1000, ""))
        self.life.stopped()
        assert self.life.state is State.NEW

    @invariant()
    def an_end_is_known_when_it_has_ended(self):
        if self.life.state is State.ENDED:
            assert self.life.end is not None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
