"""What uncached runs have shown, between the process that holds the models and the list that all workers share."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress

import structlog
from pydantic_core import from_json

from workers.jobs.colours import Colours
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import GenerationRequest
from workers.jobs.observations import Observations
from workers.process.child import Child, ChildDied
from workers.process.events import Learnt, Observed, Warmed
from workers.process.metrics import Metrics, Seen
from workers.scalingcache.measured import MeasuredCovariance

log = structlog.get_logger()


class Learning:
    """The supervisor's side of it. A job waits for none of this."""

    def __init__(
        self, observations: Observations, colours: Colours, metrics: Metrics, fingerprints: Mapping[str, str]
    ) -> None:
        """fingerprints: of the weights of all models that are loaded, as they come."""
        self._observations, self._colours = observations, colours
        self._metrics, self.fingerprints = metrics, fingerprints
        self._told: dict[str, tuple[str, ...]] = {}

    def begin(self) -> None:
        """A new process holds the models, and knows nothing yet."""
        self._told = {}

    def tell(self, child: Child, model: str) -> None:
        """Give the process what uncached runs of the model have shown since it was last told, on any worker."""
        weights, told = self.fingerprints[model], self._told.get(model, ())
        try:
            texts = self._observations.since(model, weights, told)
            if lost := texts is None:
                log.warning("observed runs are gone from Redis, and forgotten here as elsewhere", model=model)
                told, texts = (), self._observations.since(model, weights, ()) or []
            colours = None if model in self._told else self._colours.get(model, weights)
        except QueueUnavailable as error:
            log.warning("observed runs not read", model=model, error=str(error))
            return
        if lost or texts or colours:
            with suppress(ChildDied):  # Who gives it the job sees that, too.
                child.send(Observed(model, tuple(texts), colours, anew=lost))
        self._told = {**self._told, model: (*told, *texts)}

    def known(self, model: str) -> str:
        """A digest of what the process was told and predictions of the model rest on: what is held back for now does
        not count. May be asked by any thread."""
        texts = self._told.get(model, ())
        counting = max((place for place, text in enumerate(texts, 1) if _promotes(text)), default=0)
        return hashlib.sha256("\n".join(texts[:counting]).encode()).hexdigest()[:16]

    def knows(self, request: GenerationRequest) -> bool:
        """Whether an uncached run of the request was seen, on any worker. Raises `QueueUnavailable`."""
        return self._observations.knows(request.model, self.fingerprints[request.model], request)

    def keep(self, request: GenerationRequest, learnt: Learnt) -> None:
        """Give all workers what an uncached run of the request has shown, where it is of use, and count it."""
        model = request.model
        outcome: Seen = learnt.verdict
        if learnt.text is not None:
            try:
                added, outcome = self._add(request, learnt.text, outcome)
            except QueueUnavailable as error:
                log.warning("uncached run not kept", model=model, error=str(error))
                return
            if added == "kept":
                log.info("uncached run kept", model=model, verdict=outcome)
            else:
                outcome = "known" if added == "known" else "not_needed"
        self._metrics.observed(model, outcome)

    def _add(self, request: GenerationRequest, text: str, verdict: Seen) -> tuple[str, Seen]:
        """What became of it. It brings none into force that came meanwhile: nobody has looked at these."""
        model, weights = request.model, self.fingerprints[request.model]
        told = len(self._told.get(model, ())) if verdict == "promoted" else None
        added = self._observations.add(model, weights, request, text, told)
        if added != "behind":
            return added, verdict
        held_back = json.dumps(from_json(text) | {"promotes": False})
        return self._observations.add(model, weights, request, held_back), "held_back"

    def keep_warm_up(self, warmed: Warmed) -> None:
        """Give all workers what a warm-up has shown, unless it is there: each start has the same one.

        Raises `QueueUnavailable`.
        """
        model, weights = warmed.request.model, self.fingerprints[warmed.request.model]
        listed = self._observations.since(model, weights, ()) or ()
        if not any(_alike(warmed.text, each) for each in listed):
            added = self._observations.add(model, weights, warmed.request, warmed.text)
            log.info("warm-up", model=model, run=added)

    def keep_colours(self, model: str, text: str) -> None:
        """Give the processes to come, and other workers when they start, what a run has taught of previews."""
        try:
            self._colours.keep(model, self.fingerprints[model], text)
        except QueueUnavailable as error:
            log.warning("colours of previews not kept", model=model, error=str(error))


def _alike(one: str, other: str) -> bool:
    """Whether two entries of a list are of one run; one that cannot be read is none."""
    try:
        return MeasuredCovariance.parsed(from_json(one)).alike(MeasuredCovariance.parsed(from_json(other)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _promotes(text: str) -> bool:
    """As `workers.engine.learning.ObservedRun.parsed` reads it; what cannot be read counts."""
    try:
        return bool(from_json(text).get("promotes", True))
    except (ValueError, AttributeError):
        return True
