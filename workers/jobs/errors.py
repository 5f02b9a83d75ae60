"""The tree of errors. Each class is one sentence and one stable `code`.

`AttemptFailed` and what is below it can end an attempt at a job; the others are for who called.
"""

import re
from typing import ClassVar


class ScalingCacheError(Exception):
    """Anything this project raises on purpose; `code` is what an API client sees and what metrics count."""

    code: ClassVar[str] = "internal_error"


class InvalidRequest(ScalingCacheError):
    """A value from outside is not acceptable; the message names the field, the value and what is allowed."""

    code = "invalid_request"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


def plain_reason(message: str) -> str:
    """A complaint of pydantic as the end of a sentence that begins with the field."""
    return re.sub(r"^(Value error, |(Input|String|Value|Dictionary) should )", _must, message)


def _must(start: re.Match[str]) -> str:
    return "must " if start[2] else ""


class ModelNotFound(InvalidRequest):
    """The request names a model that the catalogue does not have."""

    code = "model_not_found"


class ModelUnavailable(ScalingCacheError):
    """Every worker that is there for the model says that it cannot load it."""

    code = "model_unavailable"


class IdempotencyConflict(InvalidRequest):
    """The same idempotency key came with another body."""

    code = "idempotency_conflict"


class QueueFull(ScalingCacheError):
    """As many jobs wait as may; `seconds` is when there may be room for another."""

    code = "queue_full"

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class JobNotFound(ScalingCacheError):
    """There is no such job, or it belongs to another tenant."""

    code = "not_found"


class DeliveryNotFound(JobNotFound):
    """There is no such webhook delivery, or it belongs to another tenant."""


class JobNotFinished(ScalingCacheError):
    """The job has no artifact yet, or will never have one."""

    code = "not_ready"


class QueueUnavailable(ScalingCacheError):
    """Redis cannot be reached, or refuses writes."""

    code = "queue_unavailable"


class JobCancelled(ScalingCacheError):
    """The client asked to stop the job."""

    code = "cancelled"


class LeaseLost(ScalingCacheError):
    """The job is no longer this attempt's; nothing it writes will be accepted."""

    code = "lease_lost"


class StoreMismatch(ScalingCacheError):
    """The folder of the results and the Redis of the jobs do not belong together."""

    code = "store_mismatch"


class ModelLoadFailed(ScalingCacheError):
    """The checkpoint could not be loaded."""

    code = "model_load_failed"


class CoefficientsMismatch(ScalingCacheError):
    """A coefficient file was measured on something else than what runs now."""

    code = "coefficients_mismatch"


class AttemptFailed(ScalingCacheError):
    """An attempt ended without a result; the message is safe to show to a client."""

    #: How many attempts in all a job gets when an attempt ends like this.
    max_attempts: ClassVar[int] = 1
    #: True when the process that held the device must not run another job.
    poisons_process: ClassVar[bool] = False


class RequestRefused(AttemptFailed):
    """The worker cannot serve what the service accepted: it has another catalogue, or another version."""

    code = InvalidRequest.code


class ModelNotServed(AttemptFailed):
    """Neither a service nor a worker has served the job's model for a long time."""

    code = "model_not_served"


class DeadlineExceeded(AttemptFailed):
    """The job could not end before the deadline that its request set."""

    code = "deadline_exceeded"


class UnsupportedPipeline(AttemptFailed):
    """The pipeline cannot be accelerated; the message says which property is missing."""

    code = "unsupported_pipeline"


class NotFinite(AttemptFailed):
    """The model gave values that are no numbers: with these settings, or with these weights, there is no result."""

    code = "not_finite"


class StorageFull(AttemptFailed):
    """There is no space left for the artifact."""

    code = "storage_full"


class StorageFailed(AttemptFailed):
    """The result could not be stored; a worker whose storage fails takes no more jobs, so another one tries again."""

    code = "storage_failed"
    max_attempts = 2


class StorageUnavailable(StorageFailed):
    """The store of the results did not answer in time, or not in order; it may do so later."""

    code = "storage_unavailable"
    max_attempts = 5


class OutOfMemory(AttemptFailed):
    """The device has too little memory for this job."""

    code = "out_of_memory"
    max_attempts = 2
    poisons_process = True


class GenerationFailed(AttemptFailed):
    """The pipeline raised an error that has no better name."""

    code = "generation_failed"
    max_attempts = 2


class DeviceError(AttemptFailed):
    """The device failed; its context is gone with it."""

    code = "device_error"
    max_attempts = 3
    poisons_process = True


class GroupFailed(AttemptFailed):
    """The processes that compute a job together are not at the same place any more.

    parted: whether that was found though all of them are there; else one did not come.
    """

    code = "group_failed"
    max_attempts = 3
    poisons_process = True

    def __init__(self, message: str, *, parted: bool = False) -> None:
        super().__init__(message)
        self.parted = parted


class StepTimeout(AttemptFailed):
    """A denoising step made no progress before its deadline."""

    code = "step_timeout"
    max_attempts = 3
    poisons_process = True


class WorkerCrashed(AttemptFailed):
    """The process that ran the job died, or stopped beating."""

    code = "worker_crashed"
    max_attempts = 3
