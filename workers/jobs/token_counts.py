"""How many tokens a prompt has: asked by the service, answered by any worker that has the model.

An answer takes milliseconds, or there is none. Redis' memory keeps nothing of a question that nobody answers; its
append-only file has the prompts until it is rewritten.
"""

import secrets
import threading
from collections.abc import Sequence
from typing import cast

import redis
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.keys import Key

#: How long an answer is waited for.
ANSWER_SECONDS = 0.5
#: How many of a process ask at a time: each holds a thread, which other calls need.
MOST_ASKERS = 4
#: How long questions and answers are kept that nobody takes, since who asked or was asked has ended meanwhile.
_KEPT_SECONDS = 10


class _Said(BaseModel):
    """Unknown keys of a newer version are passed over."""

    model_config = ConfigDict(frozen=True)


class EncoderTokens(_Said):
    """tokens: how many a prompt has for a text encoder, which reads `limit` of them."""

    encoder: str
    tokens: int
    limit: int


class Question(_Said):
    """One prompt of a model."""

    id: str
    model: str
    prompt: str


_ANSWER = TypeAdapter(list[EncoderTokens])


class TokenCounts:
    """The service's side of this is `ask`, the workers' are `next` and `answer`. All raise `QueueUnavailable`."""

    def __init__(self, connection: Connection, answer_seconds: float = ANSWER_SECONDS) -> None:
        """answer_seconds: how long `ask` waits, less than the connection does for an answer of Redis."""
        self._connection, self._answer_seconds = connection, answer_seconds
        self._askers = threading.Semaphore(MOST_ASKERS)

    def ask(self, model: str, prompt: str) -> list[EncoderTokens]:
        """By text encoder; empty where no worker said it in time, and where as many ask as may."""
        if not self._askers.acquire(blocking=False):
            return []
        try:
            return self._ask(model, prompt)
        finally:
            self._askers.release()

    def _ask(self, model: str, prompt: str) -> list[EncoderTokens]:
        question = Question(id=secrets.token_hex(8), model=model, prompt=prompt)
        asked, text = keys.token_questions(model), question.model_dump_json()
        self._push(asked, text)
        with self._connection.asking():
            reply = self._pop([keys.token_answer(model, question.id)], self._answer_seconds, self._connection.commands)
            if reply is None:
                self._connection.commands.lrem(asked, 1, text)
        try:
            return _ANSWER.validate_json(reply or "[]")
        except ValidationError:  # of another version
            return []

    def next(self, models: Sequence[str], seconds: float) -> Question | None:
        """Wait for a question about one of these models."""
        with self._connection.asking():
            text = self._pop([keys.token_questions(model) for model in models], seconds, self._connection.reads)
        try:
            return None if text is None else Question.model_validate_json(text)
        except ValidationError:  # of another version
            return None

    def answer(self, question: Question, counts: Sequence[EncoderTokens]) -> None:
        """To whoever asked."""
        self._push(keys.token_answer(question.model, question.id), _ANSWER.dump_json(list(counts)).decode())

    def _push(self, key: Key, text: str) -> None:
        self._connection.run(scripts.Hand(key, text, _KEPT_SECONDS))

    def _pop(self, names: Sequence[Key], seconds: float, client: "redis.Redis") -> str | None:
        popped = cast(tuple[str, str] | None, client.blpop(list(names), timeout=seconds))
        return None if popped is None else popped[1]
