"""`python -m deploy.grafana`: write the dashboards' JSON files, which Grafana reads."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import overview, speed_knob, workers

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """Each file's name and text."""
    pages = {"overview.json": overview, "speed-knob.json": speed_knob, "workers.json": workers}
    return {
        name: json.dumps(page.build().build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for name, page in pages.items()
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
