"""The thread that counts tokens, on a real Redis."""

from collections.abc import Iterator

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.queues import Queue
from workers.jobs.token_counts import EncoderTokens, TokenCounts
from workers.models.prompt_reader import PromptReader
from workers.process.token_counter import TokenCounter

TEMPLATE_TOKENS = 2


#: What was counted, in order.
read: list[str] = []


def upright(prompt: str) -> str:
    read.append(prompt)
    if prompt == "bad":
        raise ValueError("a prompt that cannot be read")
    return f"in short: {prompt}".replace(":", "")


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    queue = Queue.open(redis_url)
    words = Tokenizer(models.WordLevel({"<unk>": 0}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.enable_truncation(3)  # as a pipeline leaves its own
    words.enable_padding(length=20)
    read.clear()
    readers = {"one": [PromptReader("text_encoder", words, 8, upright, TEMPLATE_TOKENS)], "unreadable": []}
    counter = TokenCounter(TokenCounts(queue.connection), lambda: readers)
    counter.start()
    yield queue
    counter.stop()
    queue.close()


def test_it_counts_all_of_a_prompt_besides_the_template_and_one_that_fails_ends_nothing(queue: Queue) -> None:
    assert TokenCounts(queue.connection, 0.01).ask("one", "bad") == []
    counts = TokenCounts(queue.connection, 4.0)
    expected = [EncoderTokens(encoder="text_encoder", tokens=7, limit=8 - TEMPLATE_TOKENS)]
    assert counts.ask("one", "a red ball on a blue table") == expected
    assert counts.ask("unreadable", "a red ball") == [], "answered at once"
    assert read[0] == "a", "all that a count needs is there before it is asked for"
