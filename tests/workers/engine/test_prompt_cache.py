"""Encoded prompts are kept within their bytes, and come back as they were."""

import torch
from torch import Tensor

from workers.engine.prompt_cache import PromptCache

CPU = torch.device("cpu")


def embeddings(value: float, numbers: int = 100) -> dict[str, Tensor | None]:
    """Of 4 bytes a number."""
    return {"prompt_embeds": torch.full((numbers,), float(value)), "negative_prompt_embeds": None}


def test_what_is_known_is_not_made_again_and_cannot_be_spoilt() -> None:
    cache, made = PromptCache(1000), torch.randn(10)
    first = cache.get("a", CPU, lambda: {"prompt_embeds": made})["prompt_embeds"]
    assert first is made
    expected = made.clone()
    for _ in range(2):
        again = cache.get("a", CPU, lambda: embeddings(0))["prompt_embeds"]
        assert again is not None and torch.equal(again, expected)
        again.zero_()
    made.zero_()
    again = cache.get("a", CPU, lambda: embeddings(0))["prompt_embeds"]
    assert again is not None and torch.equal(again, expected)
    assert (cache.hits, cache.misses) == (3, 1)


def test_those_that_were_not_asked_for_longest_give_way() -> None:
    cache = PromptCache(1000)
    for key in ("a", "b"):
        cache.get(key, CPU, lambda: embeddings(1))
    cache.get("a", CPU, lambda: embeddings(2))
    cache.get("c", CPU, lambda: embeddings(3))
    assert cache.size_bytes == 800
    values = {key: cache.get(key, CPU, lambda: embeddings(9))["prompt_embeds"] for key in ("a", "c", "b")}
    assert {key: float(value[0]) for key, value in values.items() if value is not None} == {"a": 1, "c": 3, "b": 9}


def test_nothing_is_kept_that_is_larger_than_all_may_be() -> None:
    cache = PromptCache(1000)
    cache.get("small", CPU, lambda: embeddings(1))
    cache.get("large", CPU, lambda: embeddings(2, numbers=251))
    assert cache.size_bytes == 400
    cache.get("small", CPU, lambda: embeddings(3))
    assert cache.hits == 1
    off = PromptCache(0)
    for _ in range(2):
        off.get("a", CPU, lambda: embeddings(1))
    assert (off.hits, off.size_bytes) == (0, 0)
