"""Uncached runs, kept in a folder: all rivals of a model are held against the same ones."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from bench.rivals import multiply_adds, runs
from bench.rivals.provenance import machine, sources
from bench.rivals.records import path_of
from bench.rivals.rival import Case
from bench.rivals.runs import Outcome, same, uncached
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.engine.version import version_of
from workers.files import replacing


class References:
    """The uncached runs of some cases. Each takes its frames in float32 of the disk, 390 MB of a real video.

    They are made before a rival first runs: what a library patches does not always come off again.
    """

    def __init__(self, folder: Path, model: LoadedModel) -> None:
        self._folder = folder
        self._model = model
        # No coefficients: uncached runs have nothing of these.
        self._version = version_of(model.entry, model.pipeline, model.fingerprint, ())
        self._latest: tuple[Case, Outcome, str] | None = None

    def prepare(self, cases: Sequence[Case], told: Callable[[int, int], None]) -> None:
        """See that all are there. One that an earlier process has kept is made again first; where that comes out
        otherwise, all are made again. told: after each, that nothing is measured yet: (0, number of cases).
        """
        kept = [case for case in cases if self._path(case).exists()]
        if kept and not same(self._load(kept[0]), uncached(self._model, kept[0])):
            for case in kept:
                self._path(case).unlink()
            kept = []
        for case in cases:
            if case not in kept:
                self._make(case)
            told(0, len(cases))

    def of(self, case: Case) -> tuple[Outcome, str]:
        """The uncached run of a case, made now if it is not there, and a digest of its bits."""
        if self._latest is None or self._latest[0] is not case:
            if not self._path(case).exists():
                self._make(case)
            run = self._load(case)
            bits = run.frames.tobytes() + run.latents.float().numpy().tobytes()
            self._latest = case, run, hashlib.sha256(bits).hexdigest()[:16]
        return self._latest[1:]

    def _make(self, case: Case) -> None:
        run = uncached(self._model, case)
        table = {"frames": torch.from_numpy(run.frames), "latents": run.latents, "multiply_adds": run.multiply_adds}
        with replacing(self._path(case)) as partial:
            torch.save(table, partial)

    def _load(self, case: Case) -> Outcome:
        table = torch.load(self._path(case), weights_only=True)
        return Outcome(table["frames"].numpy(), table["latents"], table["multiply_adds"])

    def _path(self, case: Case) -> Path:
        what = {
            "version": self._version,
            "key": asdict(plan_run(self._model, case.request).key),
            "request": case.request.model_dump(),
            "machine": machine(),
            "source": sources(runs, multiply_adds),
        }
        return path_of(self._folder, what, "pt")
