"""HunyuanVideo: text to video. Guidance is an input of the transformer; a second stream only with `true_cfg_scale`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from workers.jobs.job import GenerationRequest
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.prompt_reader import PromptReader

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline, HunyuanVideoTransformer3DModel
    from torch import Tensor

    from workers.caching.transformer import BlockLayout
    from workers.models.parts import Checkpoint
    from workers.parallel.sequence import SequencePlan


CLIP_TOKENS = 77  # the default of the pipeline's `_get_clip_prompt_embeds`, which nothing changes


class HunyuanVideo(Family):
    """HunyuanVideo, through the stock `HunyuanVideoPipeline`."""

    name = "hunyuan_video"
    media = "video"
    saved_by = "HunyuanVideoPipeline"
    parts = (*Family.parts, "text_encoder_2", "tokenizer_2")
    size_multiple = 16  # 8 from the VAE, 2 from the transformer's patches
    frame_multiple = 4
    embedded_guidance = True
    splits_text = True
    usual: ClassVar[Mapping[str, Any]] = {
        "width": 960, "height": 544, "frames": 129, "fps": 24, "steps": 50, "guidance": 6.0, "max_sequence_length": 256,
        "largest": 1280, "vae_dtype": "float16", "vae_tiling": True,
    }  # fmt: skip

    def unfit(self, checkpoint: "Checkpoint") -> str | None:
        latent = self.latent_channels(checkpoint)
        channels = checkpoint.setting("transformer", "in_channels", 16)
        vae = checkpoint.setting("vae", "spatial_compression_ratio", 8)
        multiple = vae * checkpoint.setting("transformer", "patch_size", 2)
        if channels != latent:
            return (
                f"its transformer has in_channels {channels}, family {self.name} needs the VAE's latent_channels, "
                f"{latent}"
            )
        if self.size_multiple % multiple:
            return f"it makes sizes in multiples of {multiple}, family {self.name} of {self.size_multiple}"
        return None

    def load(self, entry: ModelEntry) -> "DiffusionPipeline":
        from diffusers import HunyuanVideoPipeline

        from workers.models.checkpoint import options

        return HunyuanVideoPipeline.from_pretrained(entry.source, **options(entry))

    def sigmas(self, pipeline: "DiffusionPipeline", scheduler: Any, request: GenerationRequest) -> "Tensor":
        import numpy as np

        # As in `HunyuanVideoPipeline.__call__`.
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 0.0, request.steps + 1)[:-1])
        levels: Tensor = scheduler.sigmas[: request.steps]
        return levels

    def layout(self) -> "BlockLayout":
        from workers.caching.transformer import BlockLayout

        return BlockLayout(
            blocks=lambda transformer: [*transformer.transformer_blocks, *transformer.single_transformer_blocks],
            hidden=lambda output: output[0],  # before the text's
            head=_head,
        )

    def sequence_plan(self) -> "SequencePlan":
        from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput

        from workers.parallel.sequence import SequencePlan

        def part(dimension: int, dimensions: int, *, of_output: bool) -> Any:
            return ContextParallelInput(split_dim=dimension, expected_dims=dimensions, split_output=of_output)

        frequencies, tokens = part(0, 2, of_output=True), part(1, 3, of_output=True)
        # The transformer makes its mask of the tokens that a rank has, and of the text's mask, which has to fit; the
        # text's own layers look at all of it.
        return SequencePlan(
            {
                "": {"encoder_attention_mask": part(1, 2, of_output=False)},
                "rope": {0: frequencies, 1: frequencies},
                "x_embedder": {0: tokens},
                "context_embedder": {0: tokens},
                "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
            },
            whole={"context_embedder": (2, 1)},
            masked=True,
        )

    def encode(
        self, pipeline: "DiffusionPipeline", request: GenerationRequest, entry: ModelEntry
    ) -> "dict[str, Tensor | None]":
        def embed(prefix: str, prompt: str) -> "dict[str, Tensor | None]":
            embeds, pooled, mask = pipeline.encode_prompt(
                prompt=prompt,
                max_sequence_length=entry.defaults.max_sequence_length,
                device=pipeline._execution_device,
            )
            return {
                f"{prefix}prompt_embeds": embeds,
                f"{prefix}pooled_prompt_embeds": pooled,
                f"{prefix}prompt_attention_mask": mask,
            }

        embeddings = embed("", request.prompt)
        return embeddings | embed("negative_", request.negative_prompt) if self.guided(request) else embeddings

    def readers(self, pipeline: "DiffusionPipeline", entry: ModelEntry) -> Sequence[PromptReader]:
        from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE as TEMPLATE

        cropped, form = int(TEMPLATE["crop_start"]), str(TEMPLATE["template"])
        limit = entry.defaults.max_sequence_length + cropped
        return [
            PromptReader("text_encoder", pipeline.tokenizer, limit, form.format, cropped),
            PromptReader("text_encoder_2", pipeline.tokenizer_2, CLIP_TOKENS),
        ]

    def arguments(self, request: GenerationRequest, entry: ModelEntry) -> dict[str, Any]:
        return {
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "guidance_scale": request.guidance,
            "true_cfg_scale": request.true_cfg_scale,
        }

    def guided(self, request: GenerationRequest) -> bool:
        return request.true_cfg_scale > 1


def _head(
    transformer: "HunyuanVideoTransformer3DModel",
    y: "Tensor",
    hidden_states: "Tensor",
    timestep: "Tensor",
    pooled_projections: "Tensor",
    guidance: "Tensor | None" = None,
    return_dict: bool = True,
    **_unused: Any,
) -> Any:
    """What `HunyuanVideoTransformer3DModel.forward` does after its last block, given that block's output `y`.

    y: `[batch, tokens, channels]`; hidden_states: the latents `[batch, channels, frames, height, width]`, for their
    shape; timestep and guidance: `[batch]`.
    """
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    temb, _ = transformer.time_text_embed(timestep, pooled_projections, guidance)
    batch, _, frames, height, width = hidden_states.shape
    p, pt = transformer.config.patch_size, transformer.config.patch_size_t
    patches = transformer.proj_out(transformer.norm_out(y, temb))
    patches = patches.reshape(batch, frames // pt, height // p, width // p, -1, pt, p, p)
    sample = patches.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)
    return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
