"""What of a request a run really used: how much of its prompts was read, and which settings did nothing."""

import torch

from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.errors import RequestRefused
from workers.jobs.job import GenerationRequest, PromptName, PromptTokens


def without_effect(model: LoadedModel, request: GenerationRequest) -> dict[str, str]:
    """The settings that do not shape the result, with the reason: by the family, by the checkpoint, by the steps."""
    idle = model.family.without_effect(request)
    if model.family.embedded_guidance and not model.pipeline.transformer.config.get("guidance_embeds", True):
        idle["guidance"] = "this checkpoint's transformer has no input for it"
    plan = plan_run(model, request)
    for name, steps in zip(("guidance", "guidance_2"), plan.segments, strict=False):
        if not steps:
            idle.setdefault(name, f"none of the {request.steps} steps falls to its expert")
    if request.flow_shift is not None:
        other = request.model_copy(update={"flow_shift": 2 * request.flow_shift})
        if torch.equal(plan.sigmas, plan_run(model, other).sigmas):
            idle["flow_shift"] = f"the noise levels of {request.steps} steps are the same with every shift"
    return idle


def prompt_tokens(model: LoadedModel, request: GenerationRequest) -> list[PromptTokens]:
    """How much of its prompts the model reads. Raises `RequestRefused` for a request that wants all of it read."""
    prompts: dict[PromptName, str] = {"prompt": request.prompt}
    if model.family.guided(request):
        prompts["negative_prompt"] = request.negative_prompt
    found = []
    for reader in model.family.readers(model.pipeline, model.entry):
        for name, text in prompts.items():
            read, total = reader.read_and_total(text)
            found.append(PromptTokens(prompt=name, encoder=reader.encoder, read=read, total=total))
            if read < total and not request.truncate_prompt:
                raise RequestRefused(
                    f"{name} has {total} tokens, of which {reader.encoder} of {request.model} reads {read}: "
                    "shorten it, or leave out truncate_prompt"
                )
    return found
