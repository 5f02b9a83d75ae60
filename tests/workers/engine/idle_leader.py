"""`python -m tests.workers.engine.idle_leader` is rank 0 of two without a model; it says when they watch each other."""

import threading

from tests.catalogues import a_model
from tests.waiting import wait_until
from workers.engine.leader import Leader
from workers.parallel.pulse import SILENT_SECONDS

if __name__ == "__main__":
    leader = Leader.start(a_model(parallel={"ulysses": 2}))
    with leader.patient():  # Begins, and so ends, when the other can have heard of it.
        wait_until(lambda: leader._pulse._heard[1].patience == SILENT_SECONDS)
    print("watching", flush=True)  # noqa: T201
    threading.Event().wait()
