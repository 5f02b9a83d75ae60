"""The page at `/`: what it may load, that it loads what was meant, and that it can be left out."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.page_files import FOLDER, PageFiles
from service.settings import Settings

LOADED = re.compile(r'(?:src|href)="(page/[^"]*)" integrity="sha256-([^"]*)"')


def loaded(client: TestClient) -> dict[str, str]:
    """The files that the page names, each with the SHA-256 that a browser compares it with."""
    return dict(LOADED.findall(client.get("/").text))


def test_nothing_runs_but_the_pages_own_files_and_nothing_is_sent_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy) and "http" not in str(policy)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page.text)


def test_every_module_is_named_with_its_hash_and_is_the_file_of_that_hash(client: TestClient) -> None:
    files = loaded(client)
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
    assert {name.split("/", 2)[2] for name in files} == modules | {"style.css"}
    for name, digest in files.items():
        answer = client.get(f"/{name}")
        assert base64.b64encode(hashlib.sha256(answer.content).digest()).decode() == digest
        assert answer.headers["content-type"].split(";")[0] in ("text/javascript", "text/css")
        assert "immutable" in answer.headers["cache-control"]


def test_imports_name_files_that_are_there_and_nothing_from_elsewhere() -> None:
    for path in FOLDER.rglob("*.js"):
        for name in re.findall(r'from "([^"\n]+)";$|\bimport\("', path.read_text(), re.M):
            assert name.startswith(".") and (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_who_has_a_file_is_not_sent_it_again(client: TestClient) -> None:
    for path in ("/", f"/{next(iter(loaded(client)))}"):
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert client.get(path, headers={"if-none-match": '"other"'}).content == first.content
        assert client.head(path).headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize(
    "path", ["index.html", "nothing.js", "../page_files.py", "%2e%2e/page_files.py", "views/%2e%2e/main.js"]
)
def test_nothing_else_lies_beside_the_pages_files(client: TestClient, path: str) -> None:
    version = next(iter(loaded(client))).split("/")[1]
    answer = client.get(f"/page/{version}/{path}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_a_file_of_another_version_is_not_passed_off_as_this_ones(client: TestClient) -> None:
    assert client.get("/page/0000000000000000/main.js").status_code == 404


def test_a_changed_file_changes_the_address_of_all(tmp_path: Path) -> None:
    for name, text in {"index.html": "$modules $style $main $docs", "style.css": "", "main.js": "1"}.items():
        (tmp_path / name).write_text(text)
    before = PageFiles.read(folder=tmp_path).version
    (tmp_path / "main.js").write_text("2")
    assert PageFiles.read(folder=tmp_path).version != before


def test_the_page_can_be_left_out(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"page": False}))) as client:
        assert [client.get(path).status_code for path in ("/", "/page/0/main.js")] == [404, 404]


def test_the_page_names_the_documentation_only_where_anybody_may_read_it(settings: Settings) -> None:
    for access, shown in (("open", True), ("admin", False), ("off", False)):
        with TestClient(create_app(settings.model_copy(update={"docs_access": access}))) as client:
            assert ('href="docs"' in client.get("/").text) is shown
