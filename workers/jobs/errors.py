"""The one tree of errors. Each class is one sentence, one stable `code`, and what it means for the attempt."""

from typing import ClassVar


class ScalingCacheError(Exception):
    """Anything this project raises on purpose; `code` is what an API client sees and what metrics count."""

    code: ClassVar[str] = "internal_error"
    #: How many attempts in all a job gets when an attempt ends like this.
    max_attempts: ClassVar[int] = 1
    #: True when the process that held the device must not run another job.
    poisons_process: ClassVar[bool] = False


class InvalidRequest(ScalingCacheError):
    """A value from outside is not acceptable; the message names the field, the value and what is allowed."""

    code = "invalid_request"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class ModelNotFound(InvalidRequest):
    """The request names a model that the catalogue does not have."""

    code = "model_not_found"


class JobNotFound(ScalingCacheError):
    """There is no such job, or it belongs to another tenant."""

    code = "not_found"


class JobNotFinished(ScalingCacheError):
    """The job has no artifact yet, or will never have one."""

    code = "not_ready"


class IdempotencyConflict(InvalidRequest):
    """The same idempotency key came with another body."""

    code = "idempotency_conflict"


class QueueUnavailable(ScalingCacheError):
    """Redis cannot be reached, or refuses writes."""

    code = "queue_unavailable"


class JobCancelled(ScalingCacheError):
    """The client asked to stop the job."""

    code = "cancelled"


class LeaseLost(ScalingCacheError):
    """The job is no longer this attempt's; nothing it writes will be accepted."""

    code = "lease_lost"
    max_attempts = 3


class WorkerCrashed(ScalingCacheError):
    """The process that ran the job died, or stopped beating."""

    code = "worker_crashed"
    max_attempts = 3


class StepTimeout(ScalingCacheError):
    """A denoising step made no progress before its deadline."""

    code = "step_timeout"
    max_attempts = 3
    poisons_process = True


class OutOfMemory(ScalingCacheError):
    """The device has too little memory for this job."""

    code = "out_of_memory"
    max_attempts = 2
    poisons_process = True


class DeviceError(ScalingCacheError):
    """The device failed; its context is gone with it."""

    code = "device_error"
    max_attempts = 3
    poisons_process = True


class StorageFull(ScalingCacheError):
    """There is no space left for the artifact."""

    code = "storage_full"


class ModelLoadFailed(ScalingCacheError):
    """The checkpoint could not be loaded."""

    code = "model_load_failed"
    max_attempts = 3


class UnsupportedPipeline(ScalingCacheError):
    """The pipeline cannot be accelerated; the message says which property is missing."""

    code = "unsupported_pipeline"


class CoefficientsMismatch(ScalingCacheError):
    """A coefficient file was measured on something else than what runs now."""

    code = "coefficients_mismatch"


class GenerationFailed(ScalingCacheError):
    """The pipeline raised an error that has no better name."""

    code = "generation_failed"
    max_attempts = 2
