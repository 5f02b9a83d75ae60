"""Where a process sits in its group."""

import threading
from dataclasses import replace

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
    seat = Seat(rank=5, ranks=8, local_rank=1, host="10.0.0.1", port=29500, shared=True)
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


def test_a_group_that_is_started_again_reads_nothing_of_the_last_one() -> None:
    """Whatever is in the store: the agents of torchrun keep it, and count restarts each for itself."""
    first = Seat(rank=0, ranks=2, local_rank=0, host="127.0.0.1", port=0, serves=True, shared=True)
    served = first.serve()
    assert served is not None
    first = replace(first, port=served.port)
    prefixes = list[str]()
    for _ in range(2):
        second, sat = replace(first, rank=1, serves=False), list[Seat]()
        joining = threading.Thread(target=lambda second=second, sat=sat: sat.append(second.joined()))
        first.store(5.0, "door").set("knock/1", "of a process that is dead")
        with first.invited() as leading:
            joining.start()
            joining.join(20)
            assert sat[0].prefix == leading.prefix
            assert not leading.store(5.0).check(["command/0"])
            leading.store(5.0).set("command/0", "of this group")
            assert sat[0].store(5.0).get("command/0") == b"of this group"
        prefixes.append(leading.prefix)
    assert len(set(prefixes)) == 2


def test_a_store_of_one_group_alone_needs_no_word() -> None:
    seat = Seat(rank=1, ranks=2, local_rank=1, host="127.0.0.1", port=1)
    assert seat.joined() is seat
    with seat.invited() as same:
        assert same is seat
