"""What a report says of the processes that computed a job together."""

from workers.jobs.frozen import Frozen


class Group(Frozen):
    """The processes that computed a job together, each with a GPU of its own: how many in all, and what they shared.

    `wait_seconds` is how long the first of them waited for the others at the ends of stages and steps, and where
    a method adds up what they saw.
    """

    ranks: int
    cfg: int
    ulysses: int
    ring: int
    wait_seconds: float
