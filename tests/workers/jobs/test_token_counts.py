"""Questions about prompts, between a service that waits briefly and workers that are there or not."""

from concurrent.futures import ThreadPoolExecutor

import redis

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import MODEL
from workers.jobs import keys
from workers.jobs.token_counts import MOST_ASKERS, EncoderTokens, TokenCounts

SECONDS = 4.0
COUNTS = [EncoderTokens(encoder="text_encoder", tokens=7, limit=64)]


def test_each_question_gets_its_own_answer_from_whoever_has_the_model(queue: Queue) -> None:
    counts = TokenCounts(queue.connection, SECONDS)
    with ThreadPoolExecutor(2) as pool:
        asking = {prompt: pool.submit(counts.ask, MODEL, prompt) for prompt in ("one", "another")}
        for _ in asking:
            question = counts.next(["other", MODEL], SECONDS)
            assert question is not None and question.model == MODEL
            length = len(question.prompt)
            counts.answer(question, [EncoderTokens(encoder="text_encoder", tokens=length, limit=64)])
        answers = {prompt: [each.tokens for each in answer.result()] for prompt, answer in asking.items()}
    assert answers == {"one": [3], "another": [7]}


def test_a_question_that_nobody_answers_leaves_nothing(queue: Queue, raw: "redis.Redis") -> None:
    assert TokenCounts(queue.connection, 0.01).ask(MODEL, "a red ball") == []
    assert raw.keys() == []


def test_no_more_ask_at_a_time_than_threads_can_be_spared(queue: Queue) -> None:
    counts = TokenCounts(queue.connection, SECONDS)
    with ThreadPoolExecutor(MOST_ASKERS) as pool:
        asking = [pool.submit(counts.ask, MODEL, "a red ball") for _ in range(MOST_ASKERS)]
        questions = [counts.next([MODEL], SECONDS) for _ in asking]
        assert counts.ask(MODEL, "one more") == [] and counts.next([MODEL], 0.01) is None
        for question in questions:
            assert question is not None
            counts.answer(question, COUNTS)
        assert [answer.result() for answer in asking] == [COUNTS] * MOST_ASKERS


def test_an_answer_that_comes_too_late_goes_by_itself(queue: Queue, raw: "redis.Redis") -> None:
    counts = TokenCounts(queue.connection, 0.01)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(counts.next, [MODEL], SECONDS)
        wait_until(lambda: raw.info("clients")["blocked_clients"] == 1)
        assert counts.ask(MODEL, "a red ball") == []
        question = taking.result()
    assert question is not None
    counts.answer(question, COUNTS)
    assert 0 < int(str(raw.ttl(keys.token_answer(MODEL, question.id)))) <= 10


def test_what_another_version_says_is_no_answer_and_no_question(queue: Queue, raw: "redis.Redis") -> None:
    counts = TokenCounts(queue.connection, SECONDS)
    raw.rpush(keys.token_questions(MODEL), '{"of": "another version"}')
    assert counts.next([MODEL], 0.01) is None
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(counts.ask, MODEL, "a red ball")
        question = counts.next([MODEL], SECONDS)
        assert question is not None
        raw.rpush(keys.token_answer(MODEL, question.id), '{"of": "another version"}')
        assert asking.result() == []
