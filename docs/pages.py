"""`python -m docs.pages`: write the pages that the code knows best: metrics, configuration, models, errors, OpenAPI."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from prometheus_client import Info
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docs.errors_page import errors_page
from service.app import create_app
from service.metrics import Metrics as ServiceMetrics
from service.settings import Settings as ServiceSettings
from service.webhook_metrics import WebhookMetrics
from workers.configuration import FROM_FILE, Configuration, is_secret, variable
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.connection import Connection
from workers.jobs.job import ReasonCode
from workers.models.catalogue import Catalogue
from workers.models.entry import Defaults, Limits, Lora, ModelEntry, Parallel
from workers.process.metrics import FINAL, RETRIED
from workers.process.metrics import Metrics as WorkerMetrics
from workers.process.settings import Settings as WorkerSettings

DOCS = Path(__file__).parent


@dataclass(frozen=True)
class Described:
    """A metric as the page shows it. says: its help text."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def service_metrics() -> list[Described]:
    """The metrics of the service, in the order in which it makes them."""
    connection = Connection("redis://127.0.0.1:6379/0")  # Connects at its first use, which never comes.
    try:
        return list(_described(ServiceMetrics(connection, Catalogue({}, {}), ArtifactStore(Path()))))
    finally:
        connection.close()


def worker_metrics() -> list[Described]:
    """The metrics of a worker, in the order in which it makes them."""
    return list(_described(WorkerMetrics()))


def webhook_metrics() -> list[Described]:
    """The metrics of the process that sends webhooks, in the order in which it makes them."""
    return list(_described(WebhookMetrics()))


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
    """The text of metrics.md."""
    parts = [(DOCS / "metrics.head.md").read_text().format(**_reasons())]
    owners = ("Service", service_metrics()), ("Worker", worker_metrics()), ("Webhooks", webhook_metrics())
    for title, described in owners:
        parts.append(f"\n## {title}\n\n| metric | type | labels | says |\n|---|---|---|---|\n")
        for metric in described:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            parts.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.says} |\n")
    return "".join(parts)


def _reasons() -> dict[str, str]:
    """What the label `reason` can say, for the head of the page."""
    kinds: dict[str, list[str]] = {
        "attempt_codes": sorted(FINAL | RETRIED),
        "uncached": [code.value for code in ReasonCode if not code.accelerated],
        "unmeasured": [code.value for code in ReasonCode if code.accelerated],
    }
    return {kind: ", ".join(f"`{code}`" for code in codes) for kind, codes in kinds.items()}


def configuration_page() -> str:
    """The text of configuration.md."""
    both = set(Configuration.model_fields)
    parts = [(DOCS / "configuration.head.md").read_text()]
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


def models_page() -> str:
    """The text of models.md."""
    parts = [(DOCS / "models.head.md").read_text()]
    tables = (("", ModelEntry), (".parallel", Parallel), (".defaults", Defaults), (".limits", Limits), (".loras", Lora))
    for table, fields in tables:
        brackets = f"[[models.<name>{table}]]" if fields is Lora else f"[models.<name>{table}]"
        parts.append(f"\n## `{brackets}`\n\n| field | type | default | says |\n|---|---|---|---|\n")
        for name, field in fields.model_fields.items():
            if name == "name":  # The table's own, not a value in it.
                continue
            default = "required" if field.is_required() else _default(field)
            parts.append(f"| `{name}` | {_kind(field)} | {default} | {field.description} |\n")
    return "".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    key = f"`{variable(name)}`"
    if is_secret(field):
        key += f" or `{variable(name)}{FROM_FILE}`"
    return f"| {key} | {_kind(field)} | {_default(field)} | {field.description} |\n"


def _kind(field: FieldInfo) -> str:
    limits = " ".join(_limit(rule) for rule in field.metadata if _limit(rule))
    return f"{_type(field.annotation)} {limits}".strip()


def _type(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_type(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "tables" if get_args(annotation)[0] is Lora else "names"
    if annotation in (Defaults, Limits, Parallel):
        return "table"
    words = {str: "text", Path: "path", int: "whole number", float: "number", bool: "boolean", SecretStr: "secret"}
    return words[annotation]


def _limit(rule: object) -> str:
    for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        if hasattr(rule, attribute):
            return f"{sign} {getattr(rule, attribute):.10g}"
    return ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "made at the start"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "" if field.default in (None, (), "") else f"`{field.default}`"


def openapi_document() -> str:
    """The text of openapi.json."""
    settings = ServiceSettings(authentication="none")  # nothing of the document follows from what is set
    document = create_app(settings).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def pages() -> dict[str, str]:
    """Each page's name and text."""
    return {
        "metrics.md": metrics_page(),
        "configuration.md": configuration_page(),
        "models.md": models_page(),
        "errors.md": errors_page(),
        "openapi.json": openapi_document(),
    }


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
