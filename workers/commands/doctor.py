"""`python -m workers doctor`: look at this machine, and say what stands in the way of serving."""

from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from workers.commands.console import quiet_warnings
from workers.commands.options import CatalogueOption, settings
from workers.configuration import shown_url
from workers.diagnosis import machine
from workers.diagnosis.finding import Finding, gibibytes
from workers.diagnosis.models import ModelNeed, judged, need_of
from workers.jobs.s3_location import BRIEF
from workers.jobs.storage import open_store
from workers.process.devices import device_memory
from workers.process.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


class Diagnosis(BaseModel):
    """healthy: whether nothing failed. findings: what was looked at. models: what each model's weights need."""

    healthy: bool
    findings: list[Finding]
    models: list[ModelNeed]

    @property
    def advice(self) -> list[str]:
        """What to do, the most pressing first."""
        found = [finding for finding in self.findings if finding.advice]
        return [str(finding.advice) for finding in sorted(found, key=lambda each: each.state != "failed")]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, catalogue: CatalogueOption = None
) -> None:
    """Look at driver, memory, attention backends, storage and Redis, and end with what to do.

    Exits with 1 where a model that is to be served could not be.
    """
    quiet_warnings()
    found = diagnose(settings(catalogue))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show(found)
    if not found.healthy:
        raise typer.Exit(1)


def diagnose(values: Settings, devices: dict[str, tuple[str, int]] | None = None) -> Diagnosis:
    """devices: those of this machine by default. Raises `CatalogueError`, `ModelNotFound`."""
    models = values.whole_catalogue()
    served = models.serving(values.models).entries
    devices = device_memory() if devices is None else devices
    on_gpu = any(entry.device != "cpu" for entry in served.values())
    wanted = {entry.name: entry.attention_backend for entry in served.values() if entry.attention_backend}
    findings = [
        machine.driver(devices, on_gpu),
        machine.attention(wanted),
        machine.quantization(any(entry.quantization for entry in served.values())),
        machine.bucket(open_store(values.artifacts, values.s3, BRIEF), values.storage_url or "")
        if values.s3
        else machine.storage(values.artifacts),
        machine.redis(values.redis_address, shown_url(values.redis_url)),
    ]
    needs = []
    for entry in models.entries.values():
        need, problem = need_of(entry, entry.name in served)
        memory = {number: size for number, (_, size) in devices.items()}
        needs.append(need)
        if need.served or need.here:
            findings.append(judged(need, problem, memory, machine.host_bytes(), entry.vae_tiling))
    healthy = all(finding.state != "failed" for finding in findings)
    return Diagnosis(healthy=healthy, findings=findings, models=needs)


def _show(found: Diagnosis) -> None:
    out = Console(markup=False, emoji=False, highlight=False)
    needs = {f"model {need.model}": need for need in found.models if need.here}
    for finding in found.findings:
        line = Text.assemble((f"{finding.state:8}", _COLOURS[finding.state]), f"{finding.name}: {finding.says}")
        out.print(line, soft_wrap=True)
        if finding.name in needs:
            out.print(_need(needs[finding.name]), soft_wrap=True)
    if missing := [need.model for need in found.models if not need.here]:
        out.print(f"not on this machine: {', '.join(missing)}", soft_wrap=True)
    out.print("ready to serve" if found.healthy else "not ready to serve")
    for advice in found.advice or ["nothing to do"]:
        out.print(f"→ {advice}", soft_wrap=True)


def _need(need: ModelNeed) -> str:
    weights = ", ".join(f"{gibibytes(size)} {name}" for name, size in need.needs.items())
    decoding = ", ".join(f"{gibibytes(size)} {name}" for name, size in need.decoding.items())
    return f"        weights on the device: {weights}; decoding about: {decoding}"
