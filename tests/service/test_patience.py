"""Asking what may hang."""

import threading

import pytest

from service.patience import Patience


def test_an_answer_in_time_is_given_and_an_error_raised() -> None:
    patience = Patience(30)
    assert patience.ask(lambda: 5) == 5
    with pytest.raises(TimeoutError, match="its own"):
        patience.ask(lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    assert patience.ask(lambda: 6) == 6


def test_after_a_call_that_hung_has_come_back_others_are_answered_again() -> None:
    patience, back, over = Patience(0.05), threading.Event(), threading.Event()

    def hang() -> None:
        back.wait(30)
        over.set()

    begun = []
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        patience.ask(hang)
    with pytest.raises(TimeoutError):
        patience.ask(lambda: begun.append("beside it"))
    back.set()
    assert over.wait(30)
    patience._seconds = 30
    assert patience.ask(lambda: "answered") == "answered"
    assert begun == []


def test_after_a_thread_that_could_not_be_started_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    patience = Patience(30)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="new thread"):
        patched.setattr("service.patience.Thread", NoThread)
        patience.ask(lambda: 5)
    assert patience.ask(lambda: 6) == 6
