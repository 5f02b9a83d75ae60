"""What accounts have used, read from Redis at each scrape. The set of labels is bounded, however many there are."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from service.served import known_models
from workers.jobs.connection import Connection
from workers.jobs.errors import QueueUnavailable
from workers.jobs.presence import Presence
from workers.jobs.usage import Usage, UsageRecords

#: Accounts with a label of their own, those that came first; the others are together `other`. A label is never taken
#: away again, or a counter would seem to begin anew.
MOST_ACCOUNTS = 100


class AccountCollector(Collector):
    """Without Redis there is nothing of it in the scrape."""

    def __init__(self, connection: Connection, models: Sequence[str]) -> None:
        self._records, self._presence, self._models = UsageRecords(connection), Presence(connection), models

    def describe(self) -> Iterable[CounterMetricFamily]:
        """The families without samples: registering must not read."""
        return self._families()

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Asked by the registry at each scrape."""
        jobs, steps, device = families = self._families()
        try:
            totals = self._records.totals(known_models(self._presence, self._models))
        except QueueUnavailable:
            return families
        for (account, model), used in _shown(totals).items():
            for outcome in ("completed", "failed", "cancelled"):
                jobs.add_metric([account, model, outcome], getattr(used, outcome))
            steps.add_metric([account, model, "full"], used.full_steps)
            steps.add_metric([account, model, "predicted"], used.cached_steps)
            device.add_metric([account, model], used.device_seconds)
        return families

    @staticmethod
    def _families() -> tuple[CounterMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        return (
            CounterMetricFamily(
                "scalingcache_account_jobs",
                "Jobs of an account by how they ended.",
                labels=["account", "model", "outcome"],
            ),
            CounterMetricFamily(
                "scalingcache_account_steps",
                "Steps of an account's completed jobs.",
                labels=["account", "model", "kind"],
            ),
            CounterMetricFamily(
                "scalingcache_account_device_seconds",
                "How long workers had jobs of an account, whatever became of them.",
                labels=["account", "model"],
            ),
        )


def _shown(totals: dict[str, dict[str, Usage]]) -> dict[tuple[str, str], Usage]:
    """By account and model, as labels name them."""
    shown: dict[tuple[str, str], Usage] = {}
    for place, (tenant, by_model) in enumerate(totals.items()):
        account = tenant if place < MOST_ACCOUNTS else "other"
        for model, used in by_model.items():
            shown[account, model] = Usage.sum([used, shown.get((account, model), Usage())])
    return shown
