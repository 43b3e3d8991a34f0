"""Projects compute in the order of their arrival, and a computation that hangs is given up."""

from __future__ import annotations

import threading
import time

import pytest

from backend.rounds.computing import Computing


def test_projects_take_turns_in_the_order_of_their_arrival() -> None:
    computing, order = Computing(), []
    arrived = [threading.Event() for _ in range(4)]

    def steps(project: int) -> None:
        for step in range(2):
            with computing.turn("", arrived[project].set):
                order.append((project, step))

    threads = [threading.Thread(target=steps, args=(project,)) for project in range(4)]
    with computing.turn("", pytest.fail):
        for thread, each in zip(threads, arrived, strict=True):
            thread.start()
            assert each.wait(30.0)
    for thread in threads:
        thread.join()
    # A project that computed goes to the end of the line.
    assert order == [(project, step) for step in range(2) for project in range(4)]


def test_who_no_longer_waits_gives_its_place_up() -> None:
    computing = Computing()

    def cancelled() -> None:
        raise ValueError("cancelled")

    with computing.turn("", pytest.fail), pytest.raises(ValueError, match="cancelled"), computing.turn("", cancelled):
        pytest.fail("it computes")
    with computing.turn("", pytest.fail):
        pass


def test_a_computation_without_progress_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    gave_up = threading.Event()
    computing = Computing(patience=0.5, give_up=gave_up.set)
    with computing.turn("project 7, the step 'select'", pytest.fail):
        began = time.monotonic()
        for _ in range(10):
            computing.beat()
            time.sleep(0.1)
        assert gave_up.wait(30.0)
        assert time.monotonic() - began >= 1.4  # half a second after the last beat
    assert "project 7, the step 'select' made no progress" in caplog.text


def test_one_that_ended_is_not() -> None:
    gave_up = threading.Event()
    computing = Computing(patience=0.3, give_up=gave_up.set)
    with computing.turn("", pytest.fail):
        pass
    assert not gave_up.wait(1.0)


def test_who_is_busy_when_its_turn_comes_lets_others_go_first() -> None:
    computing = Computing()
    busy, first, second = threading.Event(), threading.Event(), threading.Event()
    over, done = threading.Event(), threading.Event()

    def meanwhile() -> None:
        first.set()
        busy.wait(30.0)

    def one() -> None:
        with computing.turn("", meanwhile):
            done.set()

    def other() -> None:
        with computing.turn("", second.set):
            over.set()

    with computing.turn("", pytest.fail):
        threads = [threading.Thread(target=each) for each in (one, other)]
        threads[0].start()
        assert first.wait(30.0)
        threads[1].start()
        assert second.wait(30.0)
    assert over.wait(30.0)
    assert not done.is_set()
    busy.set()
    for thread in threads:
        thread.join()
    assert done.is_set()


def test_progress_of_others_does_not_count() -> None:
    gave_up, stop = threading.Event(), threading.Event()
    computing = Computing(patience=0.5, give_up=gave_up.set)

    def other() -> None:
        while not stop.wait(0.05):
            computing.beat()

    thread = threading.Thread(target=other)
    with computing.turn("", pytest.fail):
        thread.start()
        assert gave_up.wait(30.0)
    stop.set()
    thread.join()
