"""Generations in processes that have run nothing before, without importing torch and diffusers for each anew."""

import multiprocessing
from pathlib import Path

# What loading a model imports is imported before the process splits off, as these two are.
import diffusers.pipelines.flux.pipeline_flux
import diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video
import diffusers.pipelines.wan.pipeline_wan  # noqa: F401
import numpy as np
import torch

from workers.engine.generation import Frames, generate
from workers.engine.loaded import load_model
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import Catalogue

SECONDS = 200.0


def generate_in_a_fresh_process(catalogue: Path, request: GenerationRequest, folder: Path) -> Frames:
    """The frames of a request, from a process that has loaded no other model; it computes on as many threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    file = folder / "frames.npy"
    arguments = (str(catalogue), request.model_dump_json(), torch.get_num_threads(), str(file))
    process = context.Process(target=_run, args=arguments)
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0, "it failed, as printed above" if process.exitcode else f"not within {SECONDS:g} s"
    frames: Frames = np.load(file)
    return frames


def _run(path: str, text: str, threads: int, file: str) -> None:
    torch.set_num_threads(threads)
    request, catalogue = GenerationRequest.model_validate_json(text), Catalogue.read(Path(path))
    model = load_model(catalogue.entry(request.model), catalogue.family(request.model))
    np.save(file, generate(model, request).frames)
