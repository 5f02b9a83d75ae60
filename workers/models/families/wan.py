"""Wan: text to video, two transformer calls a step (with and without the prompt).

Wan 2.1 has one transformer. Wan 2.2 A14B has two experts: `transformer` denoises down to `boundary_ratio` of the noise,
`transformer_2` the rest, with a guidance scale of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from workers.jobs.job import GenerationRequest
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.prompt_reader import PromptReader, cleaned

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline, WanTransformer3DModel
    from torch import Tensor
    from torch.nn import Module

    from workers.caching.transformer import BlockLayout
    from workers.models.parts import Checkpoint
    from workers.parallel.sequence import SequencePlan


class Wan(Family):
    """Text to video, through the stock `WanPipeline`; the other families of Wan build on it."""

    name = "wan"
    media = "video"
    saved_by = "WanPipeline"
    size_multiple = 16  # 8 from the VAE, 2 from the transformer's patches
    frame_multiple = 4
    #: Whether every token has a timestep of its own.
    expand_timesteps = False
    usual: ClassVar[Mapping[str, Any]] = {
        "width": 832, "height": 480, "frames": 81, "fps": 16, "steps": 50, "guidance": 5.0, "max_sequence_length": 512,
        "largest": 1280, "vae_dtype": "float32",
    }  # fmt: skip

    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        from diffusers import WanPipeline

        from workers.models.checkpoint import options

        return WanPipeline.from_pretrained(entry.source, **options(entry))

    def suggested(self, checkpoint: "Checkpoint") -> dict[str, Any]:
        experts = {"steps": 40, "guidance": 4.0, "guidance_2": 3.0} if "transformer_2" in checkpoint.parts else {}
        return {**self.usual, **experts}

    def longest(self, checkpoint: "Checkpoint") -> int | None:
        return int(checkpoint.setting("transformer", "rope_max_seq_len", 1024))

    def unfit(self, checkpoint: "Checkpoint") -> str | None:
        expands = bool(checkpoint.config.get("expand_timesteps", False))
        boundary = checkpoint.config.get("boundary_ratio")
        channels = checkpoint.setting("transformer", "in_channels", 16)
        needed = self.input_channels(self.latent_channels(checkpoint))
        multiple = _size_multiple(checkpoint)
        if expands != self.expand_timesteps:
            return f"it has expand_timesteps {expands}, family {self.name} needs {self.expand_timesteps}"
        if channels != needed:
            return f"its transformer has in_channels {channels}, family {self.name} needs {needed} with this VAE"
        if (boundary is None) != ("transformer_2" not in checkpoint.parts):
            there = "a" if "transformer_2" in checkpoint.parts else "no"
            return f"it has {there} transformer_2 and boundary_ratio {boundary}: two experts need both, one neither"
        if self.size_multiple % multiple:  # The pipeline would round sizes without a word.
            return f"it makes sizes in multiples of {multiple}, family {self.name} of {self.size_multiple}"
        return self.unfit_for_images(checkpoint)

    def latent_channels(self, checkpoint: "Checkpoint") -> int:
        return int(checkpoint.setting("vae", "z_dim", 16))

    def input_channels(self, latent: int) -> int:
        """How many channels a transformer is given, for so many of the VAE's."""
        return latent

    def unfit_for_images(self, checkpoint: "Checkpoint") -> str | None:
        """As `unfit`, of how a checkpoint sees a first frame."""
        if (width := checkpoint.setting("transformer", "image_dim")) is not None:
            return f"its transformer has image_dim {width}, family {self.name} gives it no encoded image"
        return None

    def transformers(self, pipeline: "DiffusionPipeline") -> "Sequence[Module]":
        experts = (pipeline.transformer, pipeline.transformer_2)
        return experts if pipeline.config.boundary_ratio is not None else experts[:1]

    def segments(self, pipeline: "DiffusionPipeline", scheduler: Any) -> Sequence[int]:
        if pipeline.config.boundary_ratio is None:
            return super().segments(pipeline, scheduler)
        boundary = pipeline.config.boundary_ratio * scheduler.config.num_train_timesteps
        first = int((scheduler.timesteps >= boundary).sum())
        return [first, len(scheduler.timesteps) - first]

    def layout(self) -> "BlockLayout":
        from workers.caching.transformer import BlockLayout

        return BlockLayout(blocks=lambda transformer: transformer.blocks, hidden=lambda output: output, head=_head)

    def sequence_plan(self) -> "SequencePlan":
        from diffusers import WanTransformer3DModel

        from workers.parallel.sequence import SequencePlan

        return SequencePlan(WanTransformer3DModel._cp_plan)

    def encode(
        self, pipeline: "DiffusionPipeline", request: GenerationRequest, entry: ModelEntry
    ) -> "dict[str, Tensor | None]":
        prompt, negative = pipeline.encode_prompt(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            do_classifier_free_guidance=self.guided(request),
            max_sequence_length=entry.defaults.max_sequence_length,
            device=pipeline._execution_device,
        )
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}

    def readers(self, pipeline: "DiffusionPipeline", entry: ModelEntry) -> Sequence[PromptReader]:
        [reader] = super().readers(pipeline, entry)
        return [replace(reader, text=cleaned)]

    def arguments(self, request: GenerationRequest, entry: ModelEntry) -> dict[str, Any]:
        return {
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "guidance_scale": request.guidance,
            "guidance_scale_2": request.guidance_2,
        }

    def guided(self, request: GenerationRequest) -> bool:
        return request.guidance > 1


def _size_multiple(checkpoint: "Checkpoint") -> int:
    """Of how many pixels width and height are multiples."""
    _, rows, columns = checkpoint.setting("transformer", "patch_size", [1, 2, 2])
    return int(checkpoint.setting("vae", "scale_factor_spatial", 8) * max(rows, columns))


def _head(
    transformer: "WanTransformer3DModel",
    y: "Tensor",
    hidden_states: "Tensor",
    timestep: "Tensor",
    encoder_hidden_states: "Tensor",
    return_dict: bool = True,
    **_unused: Any,
) -> Any:
    """What `WanTransformer3DModel.forward` does after its last block, given that block's output `y`.

    y: `[batch, tokens, channels]`; hidden_states: the latents `[batch, channels, frames, height, width]`, for their
    shape; timestep: `[batch]`, or `[batch, tokens]` where every token has its own.
    """
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    embedder = transformer.condition_embedder
    projected = embedder.timesteps_proj(timestep.flatten())
    if timestep.ndim == 2:
        projected = projected.unflatten(0, (-1, timestep.shape[1]))
    dtype = next(iter(embedder.time_embedder.parameters())).dtype
    temb = embedder.time_embedder(projected.to(dtype)).type_as(encoder_hidden_states)
    per_token = temb if timestep.ndim == 2 else temb.unsqueeze(1)
    shift, scale = (transformer.scale_shift_table.unsqueeze(0).to(temb.device) + per_token.unsqueeze(2)).unbind(2)
    y = (transformer.norm_out(y.float()) * (1 + scale) + shift).type_as(y)

    batch, _, frames, height, width = hidden_states.shape
    pt, ph, pw = transformer.config.patch_size
    patches = transformer.proj_out(y).reshape(batch, frames // pt, height // ph, width // pw, pt, ph, pw, -1)
    sample = patches.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)
    return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
