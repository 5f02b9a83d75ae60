"""What a job takes of a device, in a unit that all requests share."""

from workers.jobs.job import GenerationRequest


def cost_of(request: GenerationRequest) -> int:
    """Pixels x frames x steps, whatever the cache will save of it."""
    return request.width * request.height * request.frames * request.steps
