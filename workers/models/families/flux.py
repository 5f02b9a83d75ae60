"""FLUX.1: text to image. Guidance is an input of the transformer; a second stream only with `true_cfg_scale`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from workers.jobs.errors import UnsupportedPipeline
from workers.jobs.job import GenerationRequest
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.prompt_reader import PromptReader

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline, FluxTransformer2DModel
    from numpy.typing import NDArray
    from torch import Tensor

    from workers.caching.transformer import BlockLayout
    from workers.models.parts import Checkpoint
    from workers.parallel.sequence import SequencePlan


class Flux(Family):
    """FLUX.1 [dev] and [schnell], through the stock `FluxPipeline`."""

    name = "flux"
    media = "image"
    saved_by = "FluxPipeline"
    parts = (*Family.parts, "text_encoder_2", "tokenizer_2")
    size_multiple = 16  # 8 from the VAE, 2 from packing the latents
    frame_multiple = 1
    flow_shift = False
    embedded_guidance = True
    long_prompt = "tokenizer_2"
    splits_text = True
    usual: ClassVar[Mapping[str, Any]] = {
        "width": 1024, "height": 1024, "frames": 1, "fps": 1, "steps": 50, "guidance": 3.5, "max_sequence_length": 512,
        "largest": 2048,
    }  # fmt: skip

    def suggested(self, checkpoint: "Checkpoint") -> dict[str, Any]:
        guided = checkpoint.setting("transformer", "guidance_embeds", False)
        few_steps = {"steps": 4, "guidance": 0.0, "max_sequence_length": 256}  # [schnell], whose guidance is built in
        return dict(self.usual) if guided else {**self.usual, **few_steps}

    def unfit(self, checkpoint: "Checkpoint") -> str | None:
        latent = self.latent_channels(checkpoint)
        channels = checkpoint.setting("transformer", "in_channels", 64)
        multiple = 2 ** len(checkpoint.setting("vae", "block_out_channels", [0] * 4))
        if channels != 4 * latent:
            return (
                f"its transformer has in_channels {channels}, family {self.name} needs 4 times the VAE's "
                f"latent_channels, {4 * latent}"
            )
        if self.size_multiple % multiple:
            return f"it makes sizes in multiples of {multiple}, family {self.name} of {self.size_multiple}"
        return None

    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        from diffusers import FluxPipeline

        from workers.models.checkpoint import options

        return FluxPipeline.from_pretrained(entry.source, **options(entry))

    def sigmas(self, pipeline: "DiffusionPipeline", scheduler: Any, request: GenerationRequest) -> "Tensor":
        import numpy as np
        from diffusers.pipelines.flux.pipeline_flux import calculate_shift

        # As in `FluxPipeline.__call__`: the more tokens, the more steps at high noise.
        side = 2 * pipeline.vae_scale_factor
        tokens = (request.width // side) * (request.height // side)
        names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        mu = calculate_shift(tokens, *(scheduler.config[name] for name in names))
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / request.steps, request.steps), mu=mu)
        levels: Tensor = scheduler.sigmas[: request.steps]
        return levels

    def layout(self) -> "BlockLayout":
        from workers.caching.transformer import BlockLayout

        return BlockLayout(
            blocks=lambda transformer: [*transformer.transformer_blocks, *transformer.single_transformer_blocks],
            hidden=lambda output: output[1],  # after the text's
            head=_head,
        )

    def sequence_plan(self) -> "SequencePlan":
        from diffusers import FluxTransformer2DModel

        from workers.parallel.sequence import SequencePlan

        return SequencePlan(FluxTransformer2DModel._cp_plan)

    def encode(
        self, pipeline: "DiffusionPipeline", request: GenerationRequest, entry: ModelEntry
    ) -> "dict[str, Tensor | None]":
        def embed(prompt: str) -> "tuple[Tensor, Tensor]":
            embeds, pooled, _ids = pipeline.encode_prompt(
                prompt=prompt,
                max_sequence_length=entry.defaults.max_sequence_length,
                device=pipeline._execution_device,
            )
            return embeds, pooled

        embeds, pooled = embed(request.prompt)
        negative, negative_pooled = embed(request.negative_prompt) if self.guided(request) else (None, None)
        return {
            "prompt_embeds": embeds,
            "pooled_prompt_embeds": pooled,
            "negative_prompt_embeds": negative,
            "negative_pooled_prompt_embeds": negative_pooled,
        }

    def readers(self, pipeline: "DiffusionPipeline", entry: ModelEntry) -> Sequence[PromptReader]:
        return [
            PromptReader("text_encoder", pipeline.tokenizer, pipeline.tokenizer_max_length),
            PromptReader("text_encoder_2", pipeline.tokenizer_2, entry.defaults.max_sequence_length),
        ]

    def arguments(self, request: GenerationRequest, entry: ModelEntry) -> dict[str, Any]:
        return {
            "width": request.width,
            "height": request.height,
            "guidance_scale": request.guidance,
            "true_cfg_scale": request.true_cfg_scale,
        }

    def guided(self, request: GenerationRequest) -> bool:
        return request.true_cfg_scale > 1

    def latents(self, pipeline: "DiffusionPipeline", latents: "Tensor", request: GenerationRequest) -> "Tensor":
        unpacked: Tensor = pipeline._unpack_latents(latents, request.height, request.width, pipeline.vae_scale_factor)
        return unpacked[0].unsqueeze(1)

    def latent_channels(self, checkpoint: "Checkpoint") -> int:
        return int(checkpoint.setting("vae", "latent_channels", 4))

    def pictures(self, output: Any) -> "NDArray[np.float32]":
        images: NDArray[np.float32] = output.images
        return images


def _head(
    transformer: "FluxTransformer2DModel",
    y: "Tensor",
    hidden_states: "Tensor",
    timestep: "Tensor",
    pooled_projections: "Tensor",
    guidance: "Tensor | None" = None,
    controlnet_block_samples: object = None,
    controlnet_single_block_samples: object = None,
    return_dict: bool = True,
    **_unused: Any,
) -> Any:
    """What `FluxTransformer2DModel.forward` does after its last block, given that block's output `y`.

    y: `[batch, tokens, channels]`; hidden_states: the packed latents, for their dtype; timestep: `[batch]`, 0 to 1;
    guidance: `[batch]`, None where the transformer has no such input. Raises `UnsupportedPipeline` with ControlNet.
    """
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    if controlnet_block_samples is not None or controlnet_single_block_samples is not None:
        raise UnsupportedPipeline(
            "ControlNet adds to the hidden states after each block, also the last, which a prediction cannot know; run "
            "it uncached (sf = steps)"
        )
    conditions = [timestep.to(hidden_states.dtype) * 1000]
    if guidance is not None:
        conditions.append(guidance.to(hidden_states.dtype) * 1000)
    temb = transformer.time_text_embed(*conditions, pooled_projections)
    sample = transformer.proj_out(transformer.norm_out(y, temb))
    return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
