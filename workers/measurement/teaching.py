"""What an evaluation's uncached runs have shown, for the list that all workers of a model share."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workers.engine.learning import Verdict, learnt, readable
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest
from workers.jobs.observations import Observations
from workers.scalingcache.measured import MeasuredCovariance


def teach(
    model: LoadedModel, observations: Observations, uncached: Sequence[tuple[GenerationRequest, Path]]
) -> Counter[Verdict]:
    """Add what each run has shown, where it is of use; it is in force from the workers' next jobs on.

    uncached: as `Evaluated` has it. Gives how many runs became what. Raises `QueueUnavailable`; what was added until
    then is `known` when it is given once more.
    """
    name, weights = model.entry.name, model.fingerprint
    verdicts: Counter[Verdict] = Counter()
    for request, file in uncached:
        observed = readable(name, observations.since(name, weights, ()) or ())
        shown = MeasuredCovariance.parsed(json.loads(file.read_text())) if file.exists() else None
        verdict, run = learnt(model.covariances, observed, plan_run(model, request), shown)
        if run is not None:
            added = observations.add(name, weights, request, run.text())
            verdict = verdict if added == "kept" else "known" if added == "known" else "not_needed"
        verdicts[verdict] += 1
    return verdicts
