"""What the demo sets for its processes."""

from pathlib import Path

from demo.stack import learning_when_idle
from workers.models.catalogue import Catalogue

CATALOGUE = Path(__file__).parents[2] / "models.toml"


def test_the_models_of_the_demo_learn_when_idle_and_no_others_do() -> None:
    variables = learning_when_idle(["wan-tiny", "flux-tiny"])
    entries = Catalogue.read(CATALOGUE, environment=variables).entries
    assert {name for name, entry in entries.items() if entry.calibrate_when_idle} == {"wan-tiny", "flux-tiny"}
    plain = Catalogue.read(CATALOGUE).entries.values()
    assert not any(entry.calibrate_when_idle or entry.shadow_share for entry in plain)
