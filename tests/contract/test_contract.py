"""The service with a real worker is held to the contract, as any server can be, and by the SDKs of OpenAI."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from demo.embedded_redis import EmbeddedRedis, RedisBinary
from tests.contract.documented import Example, examples
from tests.contract.product import TAKES_AN_IMAGE, Product, running_product
from tests.contract.report import RULES, outcome_of
from tests.contract.rules import Rule
from tests.contract.server import Server
from tests.deploy.tools import ROOT, program
from tests.service.receiver import Receiver
from tests.workers.micro_wan_variants import a_picture

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, redis_binary: RedisBinary) -> Iterator[Product]:
    with (
        EmbeddedRedis(binary=redis_binary.path) as redis,
        running_product(redis, tmp_path_factory.mktemp("contract")) as product,
    ):
        yield product


@pytest.fixture(scope="module")
def server(product: Product) -> Iterator[Server]:
    server = Server(product.url, product.key, image_model="micro-flux")
    yield server
    server.close()


@pytest.fixture(scope="module")
def secret(product: Product) -> str:
    """What messages to the account's receivers are signed with."""
    bearer = {"authorization": f"Bearer {product.key}"}
    made = httpx.post(f"{product.url}/v1/webhooks/secrets", headers=bearer).raise_for_status().json()
    return str(made["secret"])


@pytest.fixture
def message(product: Product, secret: str) -> dict[str, Any]:
    """What a receiver got of a video, and its secret. Of each test its own: what is older than minutes is refused."""
    with Receiver() as receiver, httpx.Client(base_url=product.url, timeout=60) as client:
        client.headers["authorization"] = f"Bearer {product.key}"
        body = {"prompt": "a red circle", "webhook_url": receiver.url}
        client.post("/v1/videos", json=body).raise_for_status()
        got = receiver.next()
    return {"body": got.body.decode(), "headers": dict(got.headers), "secret": secret}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_service_keeps_the_rule(server: Server, rule: Rule) -> None:
    outcome = outcome_of(rule, server)
    assert outcome.verdict == "pass", outcome.why


def ran(command: list[str], product: Product, message: dict[str, Any], **environment: str) -> str:
    """The version of the SDK that did it all."""
    done = subprocess.run(
        [*command, product.url, product.key],
        input=json.dumps(message),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def prepared(folder: str) -> Path:
    """What `make contract-clients` brings. Missing, it skips here and fails in CI."""
    if (path := ROOT / "build" / folder).exists():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"run make contract-clients: {path} is not there")
    pytest.skip(f"run make contract-clients: {path} is not there")


def test_the_sdk_of_the_environment_does_all_of_it(product: Product, message: dict[str, Any]) -> None:
    assert ran([sys.executable, str(HERE / "sdk_client.py")], product, message).startswith("3.")


def test_the_sdk_before_it_does_all_of_it(product: Product, message: dict[str, Any]) -> None:
    path = prepared("openai-2")
    command = [sys.executable, str(HERE / "sdk_client.py")]
    assert ran(command, product, message, PYTHONPATH=str(path)).startswith("2.")


def test_the_sdk_for_node_does_all_of_it(product: Product, message: dict[str, Any]) -> None:
    modules = prepared("node/node_modules/openai").parent
    command = [program("node"), str(HERE / "sdk_client.cjs")]
    assert ran(command, product, message, NODE_PATH=str(modules))


@pytest.fixture(scope="module")
def environment(product: Product, server: Server) -> dict[str, str]:
    """What the page says that its examples take from there: two videos that differ in `sf` alone, among others."""
    made = [server.create(prompt="a red circle", seed=3, sf=sf)["id"] for sf in (4, 12)]
    for video_id in made:
        assert server.ended(video_id)["status"] == "completed"
    named = {"OPENAI_BASE_URL": f"{product.url}/v1", "OPENAI_API_KEY": product.key, "MODEL": TAKES_AN_IMAGE}
    return os.environ | named | {"ID": made[0], "OTHER_ID": made[1], "PYTHONWARNINGS": "ignore"}


def command_of(example: Example, folder: Path) -> list[str]:
    """What runs the example in this folder, as a reader of the page would."""
    if example.language == "sh":
        program("curl"), program("jq")
        (folder / ".curlrc").write_text("fail-with-body\n")  # or an answer that is an error would be a success
        return ["bash", "-euo", "pipefail", "-c", example.text]
    if example.language == "python":
        return [sys.executable, "-c", example.text]
    (folder / "node_modules").symlink_to(prepared("node/node_modules/openai").parent)
    (folder / "example.mjs").write_text(example.text)
    return [program("node"), "example.mjs"]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_of_the_page_runs_as_it_stands(
    example: Example, environment: dict[str, str], tmp_path: Path
) -> None:
    a_picture().save(tmp_path / "frame.png")
    command = command_of(example, tmp_path)
    changed = environment | {"CURL_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=changed, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert example.prints in (None, done.stdout)
    for saved in tmp_path.glob("*.mp4"):
        assert saved.read_bytes()[4:8] == b"ftyp"
    assert bool([*tmp_path.glob("*.mp4")]) == (".mp4" in example.text)


def test_the_pages_receiver_takes_what_was_signed_and_nothing_else(message: dict[str, Any], tmp_path: Path) -> None:
    (example,) = (each for each in examples() if each.name == "webhooks-python")
    (tmp_path / "receiver.py").write_text(example.text)
    received = runpy.run_path(str(tmp_path / "receiver.py"))["received"]
    body = message["body"].encode()
    assert received(body, message["headers"], message["secret"])["type"].startswith("video.")
    with pytest.raises(WebhookVerificationError):
        received(body + b" ", message["headers"], message["secret"])
