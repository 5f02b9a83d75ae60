"""Both sides of the queue on one connection, which no process of the product has."""

from dataclasses import dataclass
from typing import Self

from workers.jobs.connection import Connection
from workers.jobs.inspection import Inspection
from workers.jobs.leases import Leases
from workers.jobs.presence import Presence
from workers.jobs.queue import Jobs


@dataclass(frozen=True)
class Queue:
    connection: Connection
    jobs: Jobs
    leases: Leases
    presence: Presence
    inspection: Inspection

    @classmethod
    def open(cls, url: str, *, lease_seconds: float = 60.0, retention_seconds: float = 86_400.0) -> Self:
        connection = Connection(url)
        return cls(
            connection,
            Jobs(connection, retention_seconds=retention_seconds),
            Leases(connection, lease_seconds=lease_seconds, retention_seconds=retention_seconds),
            Presence(connection),
            Inspection(connection),
        )

    def close(self) -> None:
        self.connection.close()
