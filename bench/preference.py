"""What people preferred in a study, as a table: each setting against its baseline, with 95 % confidence intervals.

    SCALINGCACHE_API_KEY=scs_... python -m bench.preference report [study_...] --url http://127.0.0.1:8000

Without a study it is the newest one. Reads the API alone, as any client does.
"""

import argparse
import os
import sys
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Results = dict[str, Any]


def newest(client: httpx.Client) -> str:
    """The id of the account's newest study."""
    studies = get(client, "/v1/studies")["data"]
    if not studies:
        raise SystemExit("there is no study yet: POST /v1/studies makes one")
    return str(studies[0]["id"])


def get(client: httpx.Client, path: str) -> Results:
    """An answer of the API; its error as one readable line."""
    try:
        response = client.get(path)
        body: Results = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SystemExit(f"{client.base_url} does not answer as the service would: {error}") from None
    if response.is_error:
        raise SystemExit(f"{path}: {body['error']['message']}")
    return body


def interval(share: dict[str, float] | None) -> str:
    """A share in percent with its interval."""
    return "-" if share is None else f"{share['mean']:.0%} ({share['low']:.0%} to {share['high']:.0%})"


def verdict(score: dict[str, float] | None) -> str:
    """What the interval of a score lets one say."""
    if score is None:
        return "no votes yet"
    if score["low"] > 0.5:
        return "preferred to its baseline"
    if score["high"] < 0.5:
        return "worse than its baseline"
    return f"no difference shown; at worst {score['low']:.0%}"


def table(results: Results) -> Table:
    """A row for each model and setting."""
    title = f"{results['name']}: {results['votes']} votes of {results['participants']} participants"
    shown = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (
        "model",
        "setting",
        "against",
        "votes",
        "preferred",
        "no difference",
        "baseline preferred",
        "score",
        "says",
    ):
        shown.add_column(column, justify="right" if column == "votes" else "left")
    for row in results["data"]:
        shares = (interval(row[name]) for name in ("setting_share", "no_difference_share", "baseline_share", "score"))
        cells = (row["model"], row["setting"], row["baseline"], str(row["votes"]), *shares, verdict(row["score"]))
        shown.add_row(*(Text(cell) for cell in cells))
    return shown


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["report"])
    parser.add_argument("study", nargs="?", help="id of a study; default: the newest one")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the service")
    options = parser.parse_args(arguments)
    key = os.environ.get("SCALINGCACHE_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=options.url, headers=headers, timeout=30) as client:
        results = get(client, f"/v1/studies/{options.study or newest(client)}/results")
    wide = None if sys.stdout.isatty() else 180  # A file has no width of its own to break cells at.
    Console(width=wide).print(table(results))


if __name__ == "__main__":
    main()
