"""Hold any server that speaks the OpenAI Videos shape to the contract.

    python -m tests.contract http://127.0.0.1:8000 --api-key KEY --fields '{"size": "832x480", "seconds": "2"}'

Needs httpx and nothing else of this repository. Makes about thirty videos, and deletes them. Exits with 1 where a rule
fails; what a server says that it does not have is no failure.
"""

import argparse
import json
import os
import sys

from tests.contract.report import line, outcomes, summary
from tests.contract.server import Server


def main(arguments: list[str] | None = None) -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the server's address, with or without /v1")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY"), help="default: $OPENAI_API_KEY")
    parser.add_argument(
        "--fields", type=json.loads, default={}, help="JSON: fields of each video, such as a small size"
    )
    parser.add_argument("--image-model", help="also hold the server to the rules of images")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long a video may take")
    options = parser.parse_args(arguments)
    server = Server(
        options.url, options.api_key, fields=options.fields, image_model=options.image_model, seconds=options.seconds
    )
    found = []
    try:
        for outcome in outcomes(server):
            found.append(outcome)
            print(line(outcome), flush=True)
    finally:
        server.close()
    print(summary(found))
    return 1 if any(each.verdict == "fail" for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
