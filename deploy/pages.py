"""`python -m deploy.pages`: write the pages that the code knows best, metrics.md and configuration.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from prometheus_client import Info
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.metrics import Metrics as ServiceMetrics
from service.settings import Settings as ServiceSettings
from workers.configuration import FROM_FILE, Configuration, is_secret, variable
from workers.jobs.queue import JobQueue
from workers.metrics import Metrics as WorkerMetrics
from workers.settings import Settings as WorkerSettings

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


@dataclass(frozen=True)
class Described:
    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def service_metrics() -> list[Described]:
    queue = JobQueue("redis://127.0.0.1:6379/0")  # Connects at its first use, which never comes.
    try:
        return list(_described(ServiceMetrics(queue, (), Path())))
    finally:
        queue.close()


def worker_metrics() -> list[Described]:
    return list(_described(WorkerMetrics()))


def _described(metrics: object) -> Iterator[Described]:
    for collector in vars(metrics).values():
        if not hasattr(collector, "describe"):
            continue
        for family in collector.describe():
            labels = getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ())
            if isinstance(collector, Info):
                labels = tuple(next(iter(collector.collect())).samples[0].labels)
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            yield Described(family.name + suffix, family.type, tuple(labels), family.documentation)


def series(described: Described) -> set[str]:
    """The names under which a metric's samples appear."""
    parts = ("_bucket", "_sum", "_count") if described.kind == "histogram" else ("",)
    return {described.name + part for part in parts}


def metrics_page() -> str:
    parts = [(HERE / "metrics.head.md").read_text()]
    for title, described in (("Service", service_metrics()), ("Worker", worker_metrics())):
        parts.append(f"\n## {title}\n\n| metric | type | labels | says |\n|---|---|---|---|\n")
        for metric in described:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            parts.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.says} |\n")
    return "".join(parts)


def configuration_page() -> str:
    both = set(Configuration.model_fields)
    parts = [(HERE / "configuration.head.md").read_text()]
    for title, settings, names in (
        ("Both", Configuration, both),
        ("Service", ServiceSettings, set(ServiceSettings.model_fields) - both),
        ("Worker", WorkerSettings, set(WorkerSettings.model_fields) - both),
    ):
        parts.append(f"\n## {title}\n\n| variable | type | default | says |\n|---|---|---|---|\n")
        for name, field in settings.model_fields.items():
            if name in names:
                parts.append(_row(name, field))
    return "".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    key = f"`{variable(name)}`"
    if is_secret(field):
        key += f" or `{variable(name)}{FROM_FILE}`"
    limits = " ".join(_limit(rule) for rule in field.metadata if _limit(rule))
    kind = f"{_type(field.annotation)} {limits}".strip()
    return f"| {key} | {kind} | {_default(field)} | {field.description} |\n"


def _type(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_type(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "names"
    return {str: "text", Path: "path", int: "whole number", float: "number", SecretStr: "secret"}[annotation]


def _limit(rule: object) -> str:
    for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        if hasattr(rule, attribute):
            return f"{sign} {getattr(rule, attribute):g}"
    return ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "made at the start"
    return "" if field.default in (None, ()) else f"`{field.default}`"


def pages() -> dict[str, str]:
    """Each page's name and text."""
    return {"metrics.md": metrics_page(), "configuration.md": configuration_page()}


def main() -> None:
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
