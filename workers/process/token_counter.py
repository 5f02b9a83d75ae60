"""Counts the tokens of prompts for the service, in a thread of its own: a job that runs keeps nobody waiting."""

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import structlog

from workers import logs
from workers.jobs.errors import QueueUnavailable
from workers.jobs.token_counts import EncoderTokens, TokenCounts
from workers.models.prompt_reader import PromptReader

log = structlog.get_logger()

#: The longest single wait for a question; so long may an end, or a new model, go unnoticed.
WAIT_SECONDS = 1.0


class TokenCounter:
    """Answers with the tokenizers that the process with the models has sent."""

    def __init__(self, counts: TokenCounts, readers: Callable[[], Mapping[str, Sequence[PromptReader]]]) -> None:
        """readers: by the models that are loaded now."""
        self._counts, self._readers = counts, readers
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="token counter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, without waiting for a Redis that hangs."""
        self._end.set()
        self._thread.join(2 * WAIT_SECONDS)

    def _run(self) -> None:
        ready: Mapping[str, Sequence[PromptReader]] | None = None
        while not self._end.is_set():
            readers = self._readers()
            try:
                if readers is not ready:
                    ready = readers
                    _prepare(readers)
                if readers:
                    self._answer_next(readers)
                    continue
            except QueueUnavailable:
                pass  # Who asks hears that, too.
            except Exception as error:
                log.error("tokens not counted", frames=logs.frames_of(error))
            self._end.wait(WAIT_SECONDS)

    def _answer_next(self, readers: Mapping[str, Sequence[PromptReader]]) -> None:
        if question := self._counts.next(tuple(readers), WAIT_SECONDS):
            self._counts.answer(question, [_counted(each, question.prompt) for each in readers[question.model]])


def _prepare(readers: Mapping[str, Sequence[PromptReader]]) -> None:
    """The first count imports what it needs, which takes longer than a service waits for an answer."""
    for reader in chain.from_iterable(readers.values()):
        reader.read_and_total("a")


def _counted(reader: PromptReader, prompt: str) -> EncoderTokens:
    _, total = reader.read_and_total(prompt)
    return EncoderTokens(encoder=reader.encoder, tokens=total, limit=reader.prompt_limit)
