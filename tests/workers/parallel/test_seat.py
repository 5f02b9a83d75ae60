"""Where a process sits in its group."""

import torch

from workers.parallel.seat import Seat, torchrun_seat

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}


def test_torchrun_s_variables_say_where_a_process_sits() -> None:
    seat = Seat(rank=5, ranks=8, local_rank=1, host="10.0.0.1", port=29500, prefix="group-2")
    assert torchrun_seat(TORCHRUN) == seat
    assert torchrun_seat({}) is None and torchrun_seat({"RANK": "5"}) is None


def test_the_first_process_serves_the_store_where_torchrun_s_agent_does_not() -> None:
    alone = {**TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE": "False"}
    served = [seat.serves for rank in ("0", "5") if (seat := torchrun_seat({**alone, "RANK": rank})) is not None]
    assert served == [True, False]
    first = torchrun_seat({**TORCHRUN, "RANK": "0"})
    assert first is not None and not first.serves and first.serve() is None


def test_each_rank_of_a_machine_has_a_device_of_its_own() -> None:
    seat = Seat(rank=5, ranks=8, local_rank=1, host="10.0.0.1", port=29500)
    assert [seat.device(first) for first in ("cuda", "cuda:2", "cpu")] == [
        torch.device("cuda:1"),
        torch.device("cuda:3"),
        torch.device("cpu"),
    ]
