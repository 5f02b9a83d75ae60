"""What is told of an attempt's steps."""

from workers.jobs.job import Misprediction
from workers.jobs.leases import StepDetails
from workers.process.events import StepDone
from workers.process.step_log import StepLog


def test_kinds_are_told_of_all_steps_and_what_a_step_has_shown_until_it_was_told() -> None:
    log, shown = StepLog(), [Misprediction(step=step, expected=0.1, measured=0.2) for step in (2, 3)]
    assert log.details() == StepDetails()
    log.add(StepDone("j", 0, "full", 9.0))
    assert log.details() == StepDetails("F", 9.0)
    log.add(StepDone("j", 1, "predicted", 0.1))
    log.add(StepDone("j", 2, "full", 2.0, shown[0]))
    asked = log.details()
    assert asked == StepDetails("FPF", 2.0, tuple(shown[:1])), "the first step may have warmed up the device"
    log.add(StepDone("j", 3, "full", 4.0, shown[1]))
    assert log.details().mispredictions == tuple(shown), "as long as nobody has answered"
    log.told(asked)
    assert log.untold
    assert log.details() == StepDetails("FPFF", 3.0, tuple(shown[1:]))
    log.told(log.details())
    assert not log.untold and log.details() == StepDetails("FPFF", 3.0)
