"""A generation of a few steps after loading: kernels are chosen and blocks compiled before a job waits for them."""

import torch
from PIL import Image

from workers.engine.generation import Generation, generate
from workers.engine.latent_preview import Previews
from workers.engine.loaded import LoadedModel
from workers.jobs.errors import ModelLoadFailed, ScalingCacheError
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import Catalogue


def warm_up(
    model: LoadedModel, catalogue: Catalogue, previews: Previews | None = None
) -> tuple[GenerationRequest, Generation] | None:
    """Run the entry's `warmup_steps` of its default request, uncached; None when it has none.

    previews: learn from it.
    Raises `ModelLoadFailed` when that is not possible: then no job would be either.
    """
    entry = model.entry
    if not entry.warmup_steps:
        return None
    animates = model.family.input_reference == "required"
    try:
        request = catalogue.request(
            entry.name,
            "warm-up",
            steps=entry.warmup_steps,
            seed=0,
            input_reference="0" * 64 if animates else None,
        ).uncached
        image = Image.new("RGB", (request.width, request.height)) if animates else None
        return request, generate(model, request, image=image, previews=previews)
    except torch.OutOfMemoryError as error:
        raise ModelLoadFailed(
            f"model {entry.name}: the device has too little memory for its default request"
        ) from error
    except ScalingCacheError as error:
        raise ModelLoadFailed(f"model {entry.name}: its default request: {error}") from error
    except Exception as error:
        raise ModelLoadFailed(f"model {entry.name}: its warm-up raised {type(error).__name__}: {error}") from error
