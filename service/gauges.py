"""Read anew at each scrape, from Redis and from the disk. The service owns these figures; no worker has them."""

import time
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.patience import Patience
from service.served import known_models
from workers.jobs.connection import Connection
from workers.jobs.deliveries import Outbox
from workers.jobs.errors import QueueUnavailable
from workers.jobs.inspection import Inspection
from workers.jobs.presence import TAKES_JOBS, Presence, WorkerState
from workers.jobs.store import Store
from workers.models.catalogue import Catalogue
from workers.models.evaluation import EvaluationError

#: How long one scrape may go on asking. A Redis that is too slow for it counts as away.
SCRAPE_SECONDS = 0.4


class QueueCollector(Collector):
    """Reads the queue when it is scraped. Without Redis it says so and leaves the rest out."""

    def __init__(self, connection: Connection, models: Sequence[str]) -> None:
        self._connection, self._models = connection, models
        self._inspection, self._presence = Inspection(connection), Presence(connection)
        self._outbox = Outbox(connection)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples: registering must not read the queue."""
        return self._families().values()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Asked by the registry at each scrape."""
        families = self._families()
        try:
            self._read(families)
        except QueueUnavailable:
            families = {"up": self._families()["up"]}
        families["up"].add_metric([], float(len(families) > 1 and self._takes_writes()))
        return families.values()

    def _takes_writes(self) -> bool:
        """A Redis without memory or disk is read as ever, and accepts no job."""
        try:
            self._connection.ping()
        except QueueUnavailable:
            return False
        return True

    def _read(self, families: dict[str, GaugeMetricFamily]) -> None:
        families["persisting"].add_metric([], float(self._inspection.persisting()))
        deadline = time.monotonic() + SCRAPE_SECONDS
        for model in known_models(self._presence, self._models):
            if time.monotonic() > deadline:
                raise QueueUnavailable("Redis: too slow")
            depth = self._inspection.depth(model)
            families["jobs"].add_metric([model, "queued"], depth.queued)
            families["jobs"].add_metric([model, "running"], depth.running)
            families["oldest"].add_metric([model], depth.oldest_seconds)
            families["dead"].add_metric([model], self._inspection.dead_letters(model))
            families["aside"].add_metric([model], self._inspection.set_aside(model))
            backlog = self._outbox.backlog(model)
            families["webhooks"].add_metric([model], backlog.pending)
            families["webhook_age"].add_metric([model], backlog.oldest_seconds)
            families["webhook_overdue"].add_metric([model], backlog.overdue_seconds)
        live = self._presence.workers()
        tally = Tally((model, worker.state) for worker in live for model in worker.serves or worker.models)
        # Zeros too: an alert cannot see what is not there.
        for model in sorted({*self._models, *(model for model, _ in tally)}):
            for state in get_args(WorkerState):
                if tally[model, state] or state in TAKES_JOBS:
                    families["workers"].add_metric([model, state], tally[model, state])
        for worker in live:
            families["heard"].add_metric([worker.name], worker.beat_age_seconds)

    @staticmethod
    def _families() -> dict[str, GaugeMetricFamily]:
        return {
            "up": GaugeMetricFamily("scalingcache_queue_up", "1 when Redis answered this scrape and took a write."),
            "persisting": GaugeMetricFamily(
                "scalingcache_redis_persisting",
                "1 when Redis writes its append-only file and the last write succeeded.",
            ),
            "jobs": GaugeMetricFamily("scalingcache_queue_jobs", "Jobs that wait or run.", labels=["model", "state"]),
            "oldest": GaugeMetricFamily(
                "scalingcache_queue_oldest_age_seconds",
                "Age of the job that waits longest; 0 when none.",
                labels=["model"],
            ),
            "dead": GaugeMetricFamily(
                "scalingcache_dead_letter_jobs", "Jobs in the dead-letter stream, at most 1000.", labels=["model"]
            ),
            "aside": GaugeMetricFamily(
                "scalingcache_set_aside_entries",
                "Entries of the queue that no job belongs to, taken out of it and kept, at most 1000.",
                labels=["model"],
            ),
            "webhooks": GaugeMetricFamily(
                "scalingcache_webhook_pending", "Webhooks that are still to be delivered.", labels=["model"]
            ),
            "webhook_age": GaugeMetricFamily(
                "scalingcache_webhook_oldest_age_seconds",
                "Age of the oldest webhook that is still to be delivered; 0 when none.",
                labels=["model"],
            ),
            "webhook_overdue": GaugeMetricFamily(
                "scalingcache_webhook_overdue_seconds",
                "How long the webhook that waits longest for a sender has been due; 0 when none is.",
                labels=["model"],
            ),
            "workers": GaugeMetricFamily("scalingcache_workers", "Live workers of a model.", labels=["model", "state"]),
            "heard": GaugeMetricFamily(
                "scalingcache_worker_heartbeat_age_seconds",
                "Since a live worker last announced itself; it counts as gone after 20 s.",
                labels=["worker"],
            ),
        }


class EvaluationCollector(Collector):
    """What the models' evaluations say now: what measured fidelity is held against."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The family without samples."""
        return [self._family()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Asked by the registry at each scrape. A broken file is told of where models are listed."""
        family = self._family()
        for name in self._catalogue.entries:
            with suppress(EvaluationError):
                for row in evaluation.rows if (evaluation := self._catalogue.evaluation(name)) else ():
                    family.add_metric([name, str(row.sf)], row.psnr.mean)
        return [family]

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "scalingcache_evaluated_psnr_decibels",
            "PSNR that the model's evaluation found for an sf, of frames before they are encoded.",
            labels=["model", "sf"],
        )


class StorageCollector(Collector):
    """The file system of the results. Without an answer of it that is left out, and not the rest of the scrape; so it
    is of a bucket, which has no end."""

    def __init__(self, artifacts: Store) -> None:
        self._artifacts = artifacts
        self._patience = Patience(SCRAPE_SECONDS)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples."""
        return self._families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Asked by the registry at each scrape."""
        free, size = self._families()
        try:
            space = self._patience.ask(self._artifacts.free_and_total_bytes)
        except OSError:
            return free, size
        if space is not None:
            free.add_metric([], space[0])
            size.add_metric([], space[1])
        return free, size

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily("scalingcache_storage_free_bytes", "Free space where the results lie."),
            GaugeMetricFamily("scalingcache_storage_size_bytes", "Size of the file system where the results lie."),
        )
