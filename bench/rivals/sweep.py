"""All that is measured of one rival in its own process: its settings on prompts, paired times, the headline."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from bench.rivals.fidelity import fidelity
from bench.rivals.prompts import check_disjoint
from bench.rivals.provenance import machine, source
from bench.rivals.records import Outcomes, Records, Row, Timing
from bench.rivals.references import References
from bench.rivals.rival import Case, Knob, Refused, Rival
from bench.rivals.runs import accelerated, seconds
from bench.rivals.scouting import chosen, nearest, scouted
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run

TIMED = (2.0, 2.5, 3.0)
"""Speedups at whose nearest settings times are measured."""
ENGAGED = 0.999
"""A cost from which on a rival has left nothing out."""

Told = Callable[[int, int], None]
"""(measurements done, measurements in all as far as is known)."""


@dataclass
class Bench:
    """Measures single runs of one rival, each once."""

    model: LoadedModel
    rival: Rival
    fitting: Sequence[Case]
    records: Records
    references: References
    _fitted: bool = False
    _prepare: Callable[[], None] | None = None

    def prepare(self, cases: Sequence[Case], told: Told) -> None:
        """What comes before all runs of the rival. Raises `SharedPrompt`."""
        check_disjoint(cases, [case.request.prompt for case in self.fitting])
        self._prepare = lambda: self.references.prepare(cases, told)

    def row(self, case: Case, setting: Knob) -> Row:
        """Raises `Refused`, also with the error of a library."""
        return self.records.get(Row, self._what(case, setting, "row"), lambda: self._measured(case, setting))

    def timing(self, case: Case, setting: Knob, pair: int) -> Timing:
        return self.records.get(Timing, self._what(case, setting, pair), lambda: self._timed(case, setting, pair))

    def _measured(self, case: Case, setting: Knob) -> Row:
        if self._prepare is not None:  # Only where something is to be measured yet.
            self._prepare()
            self._prepare = None
        reference, digest = self.references.of(case)
        with self._refusing(), _heard() as warned:
            self._fit()
            run = accelerated(self.model, self.rival, case, setting)
        return Row(
            rival=self.rival.name,
            setting=setting,
            prompt=case.request.prompt,
            seed=case.request.seed,
            cost=run.multiply_adds / reference.multiply_adds,
            fidelity=fidelity(run, reference),
            reference=digest,
            warned=tuple(dict.fromkeys(warned)),
        )

    def _timed(self, case: Case, setting: Knob, pair: int) -> Timing:
        with self._refusing():
            self._fit()
        return Timing(
            rival=self.rival.name,
            setting=setting,
            prompt=case.request.prompt,
            seed=case.request.seed,
            pair=pair,
            uncached=seconds(self.model, None, case),
            accelerated=seconds(self.model, self.rival, case, setting),
        )

    def _fit(self) -> None:
        if not self._fitted:
            self.rival.fit(self.model, self.fitting)
            self._fitted = True

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """What a library raises on a model is how it refuses it; what the bench's own code raises is a fault."""
        try:
            yield
        except Refused:
            raise
        except Exception as error:
            if not self.rival.library:
                raise
            raise Refused(f"{type(error).__name__}: {error}") from error

    def _what(self, case: Case, setting: Knob, kind: str | int) -> dict[str, Any]:
        return {
            "kind": kind,
            "rival": self.rival.name,
            "setting": setting,
            "source": source(self.rival),
            "identity": self.rival.identity(self.model),
            "fitting": [each.request.model_dump() for each in self.fitting],
            "key": asdict(plan_run(self.model, case.request).key),
            "request": case.request.model_dump(),
            "machine": machine(),
        }


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Inside, what diffusers warns of is kept, also where it is otherwise told to be quiet."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, keep = logging.getLogger("diffusers"), Keep(logging.WARNING)
    before = logger.level
    logger.addHandler(keep)
    logger.setLevel(min(before or logging.WARNING, logging.WARNING))
    try:
        yield messages
    finally:
        logger.setLevel(before)
        logger.removeHandler(keep)


def sweep(bench: Bench, cases: Sequence[Case], pairs: int, told: Told) -> Outcomes:
    """The rival's settings on all cases; times of `pairs` pairs at some of them."""
    bench.prepare(cases, told)
    rival = bench.rival
    found = Outcomes(rival=rival.name, title=rival.title, knob=rival.knob)
    try:
        settings = _settings(bench, cases[0], told)
        rows, timings = _swept(bench, cases, settings, pairs, told)
    except Refused as refused:
        return found.model_copy(update={"refused": str(refused)})
    return found.model_copy(update={"rows": rows, "timings": timings})


def _swept(
    bench: Bench, cases: Sequence[Case], settings: Sequence[Knob], pairs: int, told: Told
) -> tuple[tuple[Row, ...], tuple[Timing, ...]]:
    total = len(settings) * len(cases) + pairs * len(TIMED)
    rows: list[Row] = []
    for case in cases:
        for setting in settings:
            rows.append(bench.row(case, setting))
            told(len(rows), total)
    timings: list[Timing] = []
    for setting in nearest(mean_costs(rows), TIMED) if pairs else []:
        for pair in range(pairs):
            timings.append(bench.timing(cases[pair % len(cases)], setting, pair))
            told(len(rows) + len(timings), total)
    return tuple(rows), tuple(timings)


def headline(bench: Bench, cases: Sequence[Case], settings: Sequence[Knob], told: Told) -> Outcomes:
    """A few settings on held-out cases."""
    bench.prepare(cases, told)
    rows = []
    for case in cases:
        for setting in settings:
            rows.append(bench.row(case, setting))
            told(len(rows), len(cases) * len(settings))
    rival = bench.rival
    return Outcomes(rival=rival.name, title=rival.title, knob=rival.knob, headline=tuple(rows))


def mean_costs(rows: Sequence[Row]) -> dict[Knob, float]:
    """Of each setting over its rows."""
    costs: dict[Knob, list[float]] = defaultdict(list)
    for row in rows:
        costs[row.setting].append(row.cost)
    return {setting: fmean(values) for setting, values in costs.items()}


def _settings(bench: Bench, case: Case, told: Told) -> list[Knob]:
    """What to sweep. Raises `Refused` when the rival does not take the model, or takes it and leaves nothing out."""
    settings = bench.rival.settings(case.request)
    if not settings:
        raise Refused(f"it has no setting for runs of {case.request.steps} steps")
    rows: list[Row] = []

    def cost(setting: Knob) -> float:
        rows.append(bench.row(case, setting))
        told(len(rows), 2 * max(len(settings), len(rows)))
        return rows[-1].cost

    costs = scouted(cost, settings) if bench.rival.scouted else {setting: cost(setting) for setting in settings}
    if min(costs.values()) > ENGAGED:
        said = "; ".join(dict.fromkeys(message for row in rows for message in row.warned)) or "without a word"
        raise Refused(f"it is accepted, but every block still runs: {said}")
    if not bench.rival.scouted:
        return list(costs)
    # Of one that reaches no speedup to compare at, how far it gets.
    return chosen(costs) or [min(costs, key=lambda setting: costs[setting])]
