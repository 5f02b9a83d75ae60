"""What a stream says of a job, each piece encoded once for all who get it."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field
from pydantic_core import to_json

from service.errors import response_of
from service.image import ImageJob
from service.video import Video
from workers.jobs.errors import ScalingCacheError
from workers.jobs.events import JobEvent
from workers.jobs.job import JobState, StepKind

_KINDS: dict[str, StepKind] = {"F": "full", "P": "predicted"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One or more events as they go over the wire.

    event_id: of the last of them, empty where they have none. ends: whether nothing follows of the job. waits_at: its
    place in the queue, where the frame says one.
    """

    job_id: str
    event_id: str
    data: bytes
    ends: bool = False
    waits_at: int | None = None


class Step(BaseModel):
    """A denoising step that is done. The errors are mean squares relative to the output's own, null where a step has
    shown none."""

    id: str
    stage: str = "denoise"
    step: int = Field(description="From 1 on.")
    steps: int
    kind: StepKind | None = Field(description="Null where its worker does not tell.")
    progress: int
    eta_seconds: float | None
    expected_error: float | None
    measured_error: float | None


def resource_frame(resource: Video | ImageJob, event_id: str) -> Frame:
    """The job as it stands."""
    data = format_sse_event(
        data_str=resource.model_dump_json(), event=resource.object, id=event_id or None, retry=None, comment=None
    )
    return Frame(resource.id, event_id, data, JobState(resource.state).terminal, resource.queue_position)


def step_frame(event: JobEvent, steps: int, eta_seconds: float | None) -> Frame:
    """The steps that an event tells of. Only the last has the event's id: whoever is cut off before it gets them all
    again."""
    done, letters = event.step or 0, event.decisions or "?"
    shown = {each.step: each for each in event.mispredictions}
    parts = []
    for step in range(done - len(letters) + 1, done + 1):
        error = shown.get(step - 1)
        parts.append(
            format_sse_event(
                data_str=Step(
                    id=event.job_id,
                    step=step,
                    steps=steps,
                    kind=_KINDS.get(letters[step - done - 1]),
                    progress=min(99, 100 * step // steps),
                    eta_seconds=eta_seconds,
                    expected_error=error and error.expected,
                    measured_error=error and error.measured,
                ).model_dump_json(),
                event="step",
                id=event.id if step == done else None,
            )
        )
    return Frame(event.job_id, event.id, b"".join(parts))


def preview_frame(job_id: str, step: int, picture: str) -> Frame:
    """What a job looks as if it will become. It has no id: whoever comes back gets the last one anyway."""
    text = to_json({"id": job_id, "step": step, "image": f"data:image/webp;base64,{picture}"}).decode()
    return Frame(job_id, "", format_sse_event(data_str=text, event="preview"))


def deleted_frame(job_id: str, event_id: str) -> Frame:
    """The job is gone."""
    text = to_json({"id": job_id, "object": f"{job_id.partition('_')[0]}.deleted", "deleted": True}).decode()
    return Frame(job_id, event_id, format_sse_event(data_str=text, event="deleted", id=event_id), ends=True)


def error_data(error: ScalingCacheError) -> bytes:
    """Why a stream ends before its time."""
    return format_sse_event(data_str=bytes(response_of(error).body).decode(), event="error")


def joined(frames: Sequence[Frame]) -> bytes:
    """Frames that are sent together."""
    return b"".join(frame.data for frame in frames)
