"""The service's settings, with a catalogue of the tests' own."""

from pathlib import Path

from pydantic import SecretStr

from service.settings import Settings
from tests.catalogues import a_model, catalogue_text
from workers.models.entry import ModelEntry

#: What webhook secrets follow from. Receivers of the tests are on this host.
WEBHOOK_SECRET = SecretStr("w" * 32)

VIDEO_MODEL = a_model("wan-test", coefficients="nowhere.json", defaults={"negative_prompt": "blurry"})


def settings_in(folder: Path, redis_url: str, *models: ModelEntry) -> Settings:
    """Everything lies in the folder. Without `models` there is one, of videos."""
    catalogue = folder / "models.toml"
    catalogue.write_text(catalogue_text(*(models or (VIDEO_MODEL,))))
    (artifacts := folder / "artifacts").mkdir()
    hosts = ("localhost", "testserver")  # the second is what Starlette's test client calls
    return Settings(
        redis_url=redis_url,
        artifacts=artifacts,
        catalogue=catalogue,
        port=0,
        trusted_hosts=hosts,
        authentication="none",  # tests of keys set it
        webhook_secret=WEBHOOK_SECRET,
        webhook_networks=("127.0.0.0/8",),
    )
