"""What a file says of how it was made: a JSON text where MP4 and PNG have their comment."""

import json
from importlib.metadata import version
from typing import Literal

from workers.jobs.job import GenerationRequest, RunReport

#: Nothing; the settings that shaped the result; these and its prompts.
Embedded = Literal["none", "settings", "prompt"]


def comment_of(request: GenerationRequest, report: RunReport, embedded: Embedded) -> str | None:
    """The text; None for none. Equal for equal results of one version: nothing in it tells of the job or its time.

    `schedule` has a letter a step: F computed in full, P predicted. `method` is null where no step was predicted.
    `parallel` has the degrees of several processes that computed it together, whose results round otherwise than one's.
    """
    if embedded == "none":
        return None
    told: dict[str, object] = {
        "software": f"ScalingCache Serve {version('scalingcache-serve')}",
        "model": request.model,
        "seed": request.seed,
        "steps": request.steps,
        "sf": request.sf,
        "schedule": report.decisions,
        "method": report.account.method if report.account and report.engaged else None,
        "parallel": report.parallel and report.parallel.model_dump(include={"cfg", "ulysses", "ring"}),
    }
    if embedded == "prompt":
        told |= {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    return json.dumps(told, ensure_ascii=False)
