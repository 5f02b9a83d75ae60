"""What an evaluation's uncached runs have shown, for the list that all workers of a model share."""

from collections import Counter

from workers.engine.learning import Verdict, learnt, readable
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest
from workers.jobs.observations import Observations
from workers.scalingcache.measured import MeasuredCovariance


class Teaching:
    """Of one model. What it is given is in force from the workers' next jobs on.

    verdicts: how many runs became what.
    """

    def __init__(self, model: LoadedModel, observations: Observations) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self._model, self._observations = model, observations

    def __call__(self, request: GenerationRequest, shown: MeasuredCovariance | None) -> None:
        """Add what an uncached run of the request has shown, where it is of use. Raises `QueueUnavailable`."""
        name, weights = self._model.entry.name, self._model.fingerprint
        observed = readable(name, self._observations.since(name, weights, ()) or ())
        verdict, run = learnt(self._model.covariances, observed, plan_run(self._model, request), shown)
        if run is not None:
            added = self._observations.add(name, weights, request, run.text())
            verdict = verdict if added == "kept" else "known" if added == "known" else "not_needed"
        self.verdicts[verdict] += 1
