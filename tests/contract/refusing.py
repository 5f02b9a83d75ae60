"""Errors, whatever is asked."""

from tests.contract.rules import Group
from tests.contract.server import Server, Unsupported, refused

group = Group("errors")


@group.rule
def an_unknown_path_is_a_404(server: Server) -> None:
    """A path that there is not is a 404 in the shape of an error."""
    refused(server.call("GET", "/no-such-path"), 404)


@group.rule
def a_wrong_method_is_a_405(server: Server) -> None:
    """A method that a path does not have is a 405 in the shape of an error."""
    refused(server.call("PATCH", "/videos"), 405)


@group.rule
def another_type_of_body_is_refused(server: Server) -> None:
    """A body of another type is a 4xx, not a 5xx."""
    refused(server.call("POST", "/videos", content=b"<a/>", headers={"content-type": "text/xml"}), 400, 415)


@group.rule
def a_huge_body_is_refused(server: Server) -> None:
    """A prompt of two million characters is a 4xx, not a 5xx."""
    refused(server.call("POST", "/videos", json={"prompt": "x" * 2_000_000}), 400, 413, 422)


@group.rule
def odd_ids_are_404s(server: Server) -> None:
    """Ids that are paths, in other scripts or very long are 404s, or a 400; none is a 5xx, and none a file."""
    for odd in ("..%2f..%2fetc%2fpasswd", "video_%00", "video_%F0%9F%8E%A5", "v" * 2000, "%2e%2e"):
        for path in (f"/videos/{odd}", f"/videos/{odd}/content"):
            refused(server.call("GET", path), 400, 404)


@group.rule
def what_the_shape_has_and_the_server_not_is_said(server: Server) -> None:
    """Edits, extensions and characters are made, or refused in the shape of an error."""
    for path in ("/videos/edits", "/videos/extensions", "/videos/characters"):
        response = server.call("POST", path, json={"prompt": "a"})
        assert response.status_code < 500 or response.status_code == 501, f"{path}: {response.status_code}"
        assert response.is_error or response.json()["id"], f"{path}: {response.text[:100]}"


@group.rule
def answers_have_a_request_id(server: Server) -> None:
    """Every answer has an `x-request-id`, one that is an error too: the SDKs show it."""
    for path in ("/models", "/videos/video_none"):
        assert server.call("GET", path).headers.get("x-request-id"), f"{path} has none"


@group.rule
def a_wrong_key_is_refused(server: Server) -> None:
    """A key that is none, and none at all, are 401s."""
    if server.api_key is None:
        raise Unsupported("the server was called without a key")
    for headers in ({"authorization": "Bearer sk-wrong"}, {"authorization": ""}):
        refused(server.call("GET", "/videos", headers=headers), 401)


@group.extension
def problems_by_accept(server: Server) -> None:
    """With `Accept: application/problem+json` an error has the shape of RFC 9457."""
    response = server.call("GET", "/videos/video_none", headers={"accept": "application/problem+json"})
    if not response.headers["content-type"].startswith("application/problem+json"):
        raise Unsupported("Accept is not looked at")
    problem = response.json()
    assert problem["status"] == 404 and problem["title"] and problem["detail"]
