"""How long a prompt is for the text encoder that reads the most of it, by whoever has its tokenizer."""

from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import GenerationRequest
from workers.jobs.token_counts import EncoderTokens, TokenCounts


def prompt_tokens(counts: TokenCounts, request: GenerationRequest) -> EncoderTokens | None:
    """None where no worker says it in time: nothing is refused for that."""
    try:
        return max(counts.ask(request.model, request.prompt), key=lambda each: each.limit, default=None)
    except QueueUnavailable:
        return None
