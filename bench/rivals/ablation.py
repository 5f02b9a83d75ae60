"""What each part is worth, like the paper's Table 3: forecasts in rows, when to compute in columns."""

FORECASTS = {
    "reuse": "reuse of the last output",
    "first-order": "first order",
    "alpha": "α",
    "weights-2": "weights of 2 before",
    "weights-4": "weights of 3 before and 1 after",
}
RULES = {"fixed": "fixed interval", "rule": "paper's rule", "schedule": "schedule", "guarded": "schedule and guard"}
WHOLE = {("alpha", "rule"): "paper", ("weights-4", "guarded"): "ours-measured"}
"""Combinations that are methods of their own."""


def rival_of(forecast: str, rule: str) -> str:
    """The name of the rival that combines the two."""
    return WHOLE.get((forecast, rule), f"{forecast}-{rule}")


def parts() -> set[str]:
    """Those combinations that are there for the ablation alone."""
    return {rival_of(forecast, rule) for forecast in FORECASTS for rule in RULES} - set(WHOLE.values())
