"""Every expression that dashboards and rules contain, as Prometheus gets it."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.deploy.tools import ROOT

#: What Grafana puts in place of its variables.
VARIABLES = {"$__rate_interval": "10m", "$__range": "10m", "$model": ".*", "$sf": ".*"}
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True)
class Expression:
    place: str
    text: str

    @property
    def metrics(self) -> set[str]:
        return set(re.findall(r"\b(scalingcache_\w+)", self.text))

    @property
    def selectors(self) -> set[str]:
        """Each series that the expression reads, without function and range."""
        return set(re.findall(r"\b((?:scalingcache[_:]\w+|up|ALERTS)(?::\w+)*(?:\{[^}]*\})?)", self.text))


def filled(text: str) -> str:
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def of_panels() -> list[Expression]:
    expressions = []
    for page in _pages():
        for panel in page["panels"]:
            for target in panel.get("targets", []):
                place = f"{page['title']} / {panel['title']} / {target['refId']}"
                expressions.append(Expression(place, filled(target["expr"])))
    return expressions


def of_variables() -> list[Expression]:
    """Of each variable the series whose label it lists."""
    expressions = []
    for page in _pages():
        for variable in page["templating"]["list"]:
            match = _LABEL_VALUES.fullmatch(filled(variable["query"]["query"]))
            assert match is not None, variable
            text = f"count by ({match[2]}) ({match[1]})"
            expressions.append(Expression(f"{page['title']} / ${variable['name']}", text))
    return expressions


def of_rules() -> list[Expression]:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
    return [
        Expression(rule.get("alert") or rule["record"], rule["expr"]) for group in groups for rule in group["rules"]
    ]


def _pages() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))]
