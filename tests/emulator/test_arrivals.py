"""Who is told of sessions, and when."""

from avatarwire.emulator.arrivals import Arrivals


class Told:
    """An observer: what it was told, in order."""

    def __init__(self):
        self.of = []

    def began(self, session):
        self.of.append(f"{session} began")
        return lambda: self.of.append(f"{session} is gone")


def test_of_those_so_far_and_of_those_that_come():
    sessions, told = ["a"], Told()
    arrivals = Arrivals(sessions)
    arrivals.observe(told.began)
    arrivals.begin("b")
    assert told.of == ["a began", "b began"]


def test_of_one_that_is_forgotten_once():
    told = Told()
    arrivals = Arrivals(["a", "b"])
    arrivals.observe(told.began)
    arrivals.forget("a")
    arrivals.begin("a")
    arrivals.forget("a")
    assert told.of == ["a began", "b began", "a is gone", "a began", "a is gone"]


def test_of_nothing_once_it_has_ended_while_others_go_on():
    first, second = Told(), Told()
    arrivals = Arrivals([])
    end = arrivals.observe(first.began)
    arrivals.observe(second.began)
    arrivals.begin("a")
    end()
    arrivals.begin("b")
    arrivals.forget("a")
    assert first.of == ["a began"]
    assert second.of == ["a began", "b began", "a is gone"]
