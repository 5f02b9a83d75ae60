"""Jobs, reports and artifacts to test with."""

from tests.queues import Queue
from workers.jobs.artifact import Artifact
from workers.jobs.job import GenerationRequest, Job, JobKey, Priority, RunReport, new_job_id

MODEL = "wan-tiny"
TENANT = "acme"


def a_request(prompt: str = "a red ball", *, model: str = MODEL, steps: int = 50, sf: int = 10) -> GenerationRequest:
    return GenerationRequest(
        model=model,
        prompt=prompt,
        width=96,
        height=96,
        frames=33,
        fps=16,
        steps=steps,
        sf=sf,
        guidance=5.0,
        flow_shift=1.0,
        seed=7,
    )


def submit(
    queue: Queue,
    request: GenerationRequest | None = None,
    *,
    tenant: str = TENANT,
    priority: Priority = Priority.NORMAL,
    deadline_seconds: float | None = None,
    shares: bool = False,
    result_of: str | None = None,
) -> Job:
    request = request or a_request()
    key = JobKey(tenant, new_job_id(request.model))
    return queue.jobs.submit(
        key,
        priority=priority,
        request=request,
        metadata={},
        deadline_seconds=deadline_seconds,
        shares=shares,
        result_of=result_of,
    )


def an_artifact(path: str = "acme/job/token/video.mp4") -> Artifact:
    return Artifact(path=path, media_type="video/mp4", size_bytes=3, sha256="0" * 64)


def a_report(steps: int = 50, full_steps: int = 20) -> RunReport:
    return RunReport(
        steps=steps,
        full_steps=full_steps,
        cached_steps=steps - full_steps,
        decisions="F" * full_steps + "P" * (steps - full_steps),
        engaged=full_steps < steps,
        reason=None,
        speedup_measured=2.4,
        speedup_estimated=steps / full_steps,
        full_step_seconds=0.2,
        predicted_step_seconds=0.002,
        cache_bytes=1024,
        timings={"encode_prompt": 0.1, "denoise": 4.0, "decode": 0.2},
    )
