"""Every kind of checkpoint that the families serve, with random weights, and how a request of each runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, FluxPipeline, HunyuanVideoPipeline, WanImageToVideoPipeline, WanPipeline
from PIL.Image import Image

from tests.workers import micro_flux, micro_hunyuan_video, micro_wan
from tests.workers import micro_wan_variants as wan
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest
from workers.models.entry import ModelEntry
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions

STEPS = 12
BOTH = ("cond", "uncond")


@dataclass(frozen=True)
class Variant:
    """A checkpoint, the stock pipeline that runs it, and what a request of it does.

    tokens: of the picture or video in a block's output; head: what of the transformer runs at a predicted step too;
    feeds: what then does not; asked: fields of a request beside the model's defaults; other: those of another request;
    matters: values that change the result; ignored: values that do not.
    """

    save: Callable[[Path], None]
    entry: Callable[[Path], ModelEntry]
    stock: type[DiffusionPipeline]
    blocks: int
    tokens: int
    head: frozenset[str]
    feeds: frozenset[str]
    other: dict[str, Any]
    asked: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = BOTH
    matters: tuple[dict[str, Any], ...] = ({"guidance": 50.0},)
    ignored: tuple[dict[str, Any], ...] = ()

    @property
    def animates(self) -> bool:
        return "input_reference" in self.asked

    @property
    def picture(self) -> Image | None:
        return wan.a_picture() if self.animates else None

    def request(self, model: LoadedModel, **changes: Any) -> GenerationRequest:
        defaults = model.entry.defaults.model_dump(exclude={"max_sequence_length"})
        usual = {"model": model.entry.name, "prompt": "red circle", "seed": 7}
        request = GenerationRequest(**(defaults | usual | self.asked | changes))
        model.family.check(request, model.entry.limits)
        return request

    def relay(self, model: LoadedModel, request: GenerationRequest, sf: int = 4) -> ExpertSessions:
        """A cache that predicts, on coefficients that were not measured."""
        alpha = torch.full((request.steps, self.blocks), 0.9, dtype=torch.float64)
        return ExpertSessions(IntervalSettings(sf, kappa=3.0), alpha, plan_run(model, request).segments)


def _wan(
    save: Callable[[Path], None],
    family: str,
    stock: type[DiffusionPipeline] = WanPipeline,
    *,
    experts: bool = False,
    tokens: int = 2 * 4 * 4,
) -> Variant:
    matters: tuple[dict[str, Any], ...] = ({"guidance": 50.0}, {"negative_prompt": "red red red"})
    return Variant(
        save,
        lambda folder: wan.variant_entry(folder, family, experts=experts),
        stock,
        micro_wan.BLOCKS,
        tokens,
        head=frozenset({"condition_embedder.timesteps_proj", "condition_embedder.time_embedder"}) | _OUTPUT,
        feeds=frozenset({"patch_embedding", "rope", "condition_embedder.text_embedder", "blocks.0"}),
        other={"frames": 9, "guidance": 1.0, "seed": 3, "flow_shift": 3.0},
        asked={"input_reference": "0" * 64} if stock is WanImageToVideoPipeline else {},
        matters=(*matters, {"guidance_2": 50.0}) if experts else matters,
    )


def _guided_by_an_input(
    save: Callable[[Path], None],
    entry: Callable[[Path], ModelEntry],
    stock: type[DiffusionPipeline],
    tokens: int,
    *,
    true_cfg: bool = False,
    guidance_embeds: bool = True,
) -> Variant:
    """As FLUX and HunyuanVideo: one stream, and a second one on request."""
    embedded = ({"guidance": 50.0},)
    twice, once = {"true_cfg_scale": 2.0, "negative_prompt": "circle"}, {"true_cfg_scale": 1.0, "negative_prompt": ""}
    return Variant(
        save,
        entry,
        stock,
        micro_flux.BLOCKS,
        tokens,
        head=frozenset({"time_text_embed"}) | _OUTPUT,
        feeds=frozenset({"x_embedder", "context_embedder", "transformer_blocks.0", "single_transformer_blocks.0"}),
        other={"width": 48, "guidance": 1.0, "seed": 3} | (once if true_cfg else twice),
        asked=twice if true_cfg else {},
        streams=BOTH if true_cfg else ("cond",),
        matters=(embedded if guidance_embeds else ())
        + (({"negative_prompt": "red red red"}, {"true_cfg_scale": 9.0}) if true_cfg else ()),
        ignored=() if guidance_embeds else embedded,
    )


_OUTPUT = frozenset({"norm_out", "proj_out"})
_FLUX = (micro_flux.save_micro_flux, micro_flux.micro_entry, FluxPipeline, 2 * 2)
_HUNYUAN = (
    micro_hunyuan_video.save_micro_hunyuan_video,
    micro_hunyuan_video.micro_entry,
    HunyuanVideoPipeline,
    2 * 2 * 2,
)
_ANIMATING = WanImageToVideoPipeline

VARIANTS = {
    "flux": _guided_by_an_input(*_FLUX),
    "flux with true guidance": _guided_by_an_input(*_FLUX, true_cfg=True),
    "flux without a guidance input": _guided_by_an_input(
        micro_flux.save_micro_schnell, *_FLUX[1:], guidance_embeds=False
    ),
    "hunyuan video": _guided_by_an_input(*_HUNYUAN),
    "hunyuan video with true guidance": _guided_by_an_input(*_HUNYUAN, true_cfg=True),
    "wan t2v": _wan(micro_wan.save_micro_wan, "wan"),
    "wan t2v with experts": _wan(wan.save_micro_experts, "wan", experts=True),
    "wan i2v": _wan(wan.save_micro_i2v, "wan-i2v", _ANIMATING),
    "wan i2v with experts": _wan(wan.save_micro_i2v_experts, "wan-i2v", _ANIMATING, experts=True),
    "wan ti2v from text": _wan(wan.save_micro_ti2v, "wan-ti2v", tokens=2 * 2 * 2),
    "wan ti2v from an image": _wan(wan.save_micro_ti2v, "wan-ti2v", _ANIMATING, tokens=2 * 2 * 2),
}
