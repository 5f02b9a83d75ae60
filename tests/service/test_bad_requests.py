"""Every value that is refused, and what the refusal says."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.schemas import CreateVideo, parse
from tests.queues import Queue
from workers.jobs.errors import InvalidRequest

GOOD = {"prompt": "a red ball"}

# What is sent, then the param and the words of the message.
REFUSED: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "no prompt": ({"prompt": ...}, "prompt", ["prompt is required"]),
    "empty prompt": ({"prompt": ""}, "prompt", ["prompt ''", "at least 1 character"]),
    "blank prompt": ({"prompt": " \n\t "}, "prompt", ["not a space"]),
    "endless prompt": ({"prompt": "x" * 32_001}, "prompt", ["xxx...", "at most 32000 characters"]),
    "null prompt": ({"prompt": None}, "prompt", ["prompt is required"]),
    "prompt of another type": ({"prompt": ["a"]}, "prompt", ["['a']", "string"]),
    "unknown field": ({"sff": 4}, "sff", ["unknown field 'sff'", "allowed: prompt, model"]),
    "field of a later version": ({"guidance_9": 5}, "guidance_9", ["unknown field 'guidance_9'"]),
    "no name": ({"": 1}, "", ["unknown field ''", "allowed: prompt"]),
    "model of no name": ({"model": ""}, "model", ["model ''", "at least 1 character"]),
    "sf above the only step": ({"sf": 3, "steps": 1}, "sf", ["sf 3", "between 2 and 2", "sf 2 runs without the cache"]),
    "unknown field of null": ({"sff": None}, "sff", ["unknown field 'sff'"]),
    "webhook": ({"webhook_url": "http://x"}, "webhook_url", ["POST /v1/webhooks/secrets"]),
    "target speedup out of reach": (
        {"target_speedup": 30},
        "target_speedup",
        ["target_speedup 30", "50 steps are at most 25 times faster"],
    ),
    "size without x": ({"size": "96"}, "size", ["size '96'"]),
    "size zero": ({"size": "0x96"}, "size", ["size '0x96'"]),
    "size off the grid": ({"size": "97x96"}, "size", ["97x96", "multiple of 16", "128"]),
    "size too large": ({"size": "96x256"}, "size", ["height 256", "128"]),
    "size as number": ({"size": 96}, "size", ["size 96", "string"]),
    "size in other digits": ({"size": "٩٦x٩٦"}, "size", ["size"]),
    "frames off the pattern": ({"frames": 32}, "frames", ["frames 32", "4k+1", "49"]),
    "too many frames": ({"frames": 53}, "frames", ["frames 53", "49"]),
    "no frames": ({"frames": 0}, "frames", ["frames 0", "greater than or equal to 1"]),
    "frames and seconds": ({"frames": 33, "seconds": "2"}, "seconds", ["seconds 2 and frames 33", "only one of them"]),
    "too many seconds": ({"seconds": 12}, "seconds", ["seconds 12 at 16 fps", "at most 49 frames", "3.0625 seconds"]),
    "no seconds": ({"seconds": "0"}, "seconds", ["seconds '0'", "greater than 0"]),
    "seconds in words": ({"seconds": "four"}, "seconds", ["seconds 'four'", "number"]),
    "seconds infinite": ({"seconds": "inf"}, "seconds", ["seconds 'inf'"]),
    "fps zero": ({"fps": 0}, "fps", ["fps 0"]),
    "fps too large": ({"fps": 1000}, "fps", ["fps 1000", "120"]),
    "steps zero": ({"steps": 0}, "steps", ["steps 0"]),
    "too many steps": ({"steps": 101}, "steps", ["steps 101", "between 1 and 100"]),
    "sf below 2": ({"sf": 1}, "sf", ["sf 1", "greater than or equal to 2"]),
    "sf above steps": ({"sf": 31, "steps": 30}, "sf", ["sf 31", "between 2 and steps, which is 30"]),
    "sf above the default steps": ({"sf": 51}, "sf", ["sf 51", "50"]),
    "sf not whole": ({"sf": 4.5}, "sf", ["sf 4.5", "integer"]),
    "sf a boolean": ({"sf": True}, "sf", ["sf True", "not a boolean"]),
    "sf a word": ({"sf": "fast"}, "sf", ["sf 'fast'", "integer"]),
    "steps without end": ({"steps": int("9" * 4000)}, "steps", ["steps", "less than or equal to 10000"]),
    "sf without end": ({"sf": int("9" * 4000)}, "sf", ["sf", "less than or equal to 10000"]),
    "negative guidance": ({"guidance": -1}, "guidance", ["guidance -1"]),
    "guidance not a number": ({"guidance": "nan"}, "guidance", ["guidance 'nan'"]),
    "flow shift zero": ({"flow_shift": 0}, "flow_shift", ["flow_shift 0"]),
    "negative seed": ({"seed": -1}, "seed", ["seed -1"]),
    "seed too large": ({"seed": 2**32}, "seed", ["seed 4294967296", "less than 4294967296"]),
    "unknown priority": ({"priority": "urgent"}, "priority", ["priority 'urgent'", "'high', 'normal' or 'low'"]),
    "metadata not strings": ({"metadata": {"a": 1}}, "metadata.a", ["metadata.a 1", "string"]),
    "metadata a list": ({"metadata": []}, "metadata", ["metadata []", "dict"]),
    "too much metadata": ({"metadata": {str(i): "" for i in range(17)}}, "metadata", ["at most 16"]),
    "metadata key too long": ({"metadata": {"k" * 65: ""}}, "metadata", ["1 to 64 characters"]),
    "second guidance of one expert": ({"guidance_2": 3}, "guidance_2", ["guidance_2 3", "no second expert"]),
    "metadata value too long": ({"metadata": {"k": "v" * 513}}, "metadata", ["at most 512"]),
}


@pytest.mark.parametrize(("changes", "param", "words"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_value_is_refused_naming_field_and_value_and_what_is_allowed(
    client: TestClient, queue: Queue, changes: dict[str, Any], param: str, words: list[str]
) -> None:
    body = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    response = client.post("/v1/videos", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    assert error["type"] == "invalid_request_error"
    for word in [*words, param]:
        assert word in error["message"]
    assert queue.inspection.depth("wan-test").queued == 0


def test_an_unknown_model_is_not_found_and_the_served_ones_are_named(client: TestClient) -> None:
    response = client.post("/v1/videos", json=GOOD | {"model": "sora-2"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "'sora-2'" in error["message"] and "wan-test" in error["message"]


FORMS: dict[str, tuple[list[tuple[str, Any]], str, list[str]]] = {
    "unknown field": ([("prompt", "a"), ("speed", "fast")], "speed", ["unknown field 'speed'"]),
    "a list": ([("prompt", "a"), ("sf[]", "4")], "sf[]", ["unknown field 'sf[]'"]),
    "deep nesting": ([("prompt", "a"), ("metadata[a][b]", "4")], "metadata[a][b]", ["unknown field"]),
    "nested prompt": ([("prompt[a]", "a")], "prompt", ["string"]),
    "twice": ([("prompt", "a"), ("prompt", "b")], "prompt", ["more than once"]),
    "plain and nested": ([("prompt", "a"), ("metadata", "x"), ("metadata[a]", "b")], "metadata[a]", ["more than once"]),
    "no number": ([("prompt", "a"), ("sf", "many")], "sf", ["sf 'many'", "integer"]),
    "empty number": ([("prompt", "a"), ("sf", "")], "sf", ["sf ''", "integer"]),
}


@pytest.mark.parametrize(("parts", "param", "words"), FORMS.values(), ids=list(FORMS))
def test_a_bad_form_field_is_refused_by_name(
    client: TestClient, parts: list[tuple[str, str]], param: str, words: list[str]
) -> None:
    response = client.post("/v1/videos", files=[(name, (None, value)) for name, value in parts])
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    for word in words:
        assert word in error["message"]


def test_a_text_field_that_comes_as_a_file_is_refused(client: TestClient) -> None:
    response = client.post("/v1/videos", files={"prompt": ("prompt.txt", b"a red ball")})
    assert response.status_code == 400
    assert "prompt was sent as a file" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ("limit=0", "limit", ["limit '0'", "greater than or equal to 1"]),
        ("limit=101", "limit", ["limit '101'", "less than or equal to 100"]),
        ("limit=all", "limit", ["limit 'all'", "integer"]),
        ("order=up", "order", ["order 'up'", "'asc' or 'desc'"]),
        ("after=video_none", "after", ["after 'video_none'"]),
    ],
)
def test_a_bad_query_is_refused_in_the_same_shape(client: TestClient, query: str, param: str, words: list[str]) -> None:
    response = client.get(f"/v1/videos?{query}")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    for word in words:
        assert word in error["message"]


@pytest.mark.parametrize("query", ["limit=1&limit=5", "order=asc&order=asc", "after=a&after=b"])
def test_a_query_field_that_is_sent_twice_is_refused(client: TestClient, query: str) -> None:
    response = client.get(f"/v1/videos?{query}")
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, query.partition("=")[0])
    assert "more than once" in error["message"]


def test_of_many_wrong_names_and_pairs_one_is_looked_at() -> None:
    class Unread(CreateVideo):
        @classmethod
        def model_validate(cls, *_: object, **__: object) -> Any:
            raise AssertionError("each name would be an error of its own")

    with pytest.raises(InvalidRequest, match="unknown field 'k0'"):
        parse(Unread, GOOD | {f"k{i}": 1 for i in range(50_000)})
    with pytest.raises(ValidationError) as refused:
        CreateVideo.model_validate(GOOD | {"metadata": {str(i): i for i in range(50_000)}})
    assert refused.value.error_count() == 1


@pytest.mark.parametrize("body", [{"size": "9" * 100_000}, {"x" * 100_000: 1}, {"metadata": {"k" * 9000: 1}}])
def test_what_a_refusal_quotes_is_cut_short(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post("/v1/videos", json=GOOD | body)
    assert response.status_code == 400 and len(response.content) < 1500


REFUSALS = {(400, "invalid_request"), (400, "not_supported"), (404, "model_not_found")}
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
BODIES = st.dictionaries(st.sampled_from(sorted(CreateVideo.model_fields)) | st.text(), ANYTHING)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_no_json_makes_the_service_fail(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post("/v1/videos", json={"prompt": "a"} | body)
    if response.status_code == 200:
        assert response.json()["status"] == "queued"
        return
    error = response.json()["error"]
    assert (response.status_code, error["code"]) in REFUSALS
    assert error["message"] and error["type"] == "invalid_request_error"
