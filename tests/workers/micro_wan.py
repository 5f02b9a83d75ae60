"""A Wan checkpoint with random weights, a few thousand parameters: for what does not depend on what a model learned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from tests.catalogues import a_micro_model
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest
from workers.models.entry import ModelEntry
from workers.scalingcache.paper.coefficients import Coefficients

BLOCKS = 3
STEPS = 12


def text_parts() -> dict[str, object]:
    """A tokenizer of three words and an encoder of one layer."""
    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "circle": 4}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    text = UMT5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0)
    return {
        "tokenizer": PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
        ),
        "text_encoder": UMT5EncoderModel(text),
    }


def a_transformer(**changes: object) -> WanTransformer3DModel:
    shape = {
        "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 16,
        "freq_dim": 16, "ffn_dim": 32, "num_layers": BLOCKS, "rope_max_seq_len": 32,
    }  # fmt: skip
    return WanTransformer3DModel(**(shape | changes))


def a_vae(**changes: object) -> AutoencoderKLWan:
    shape = {
        "base_dim": 4, "z_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
        "temperal_downsample": [False, True, True], "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4,
    }  # fmt: skip
    return AutoencoderKLWan(**(shape | changes))


def a_scheduler() -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, num_train_timesteps=1000
    )


def save_micro_wan(folder: Path) -> None:
    """Write the checkpoint as `from_pretrained` expects it."""
    torch.manual_seed(0)
    WanPipeline(**text_parts(), transformer=a_transformer(), vae=a_vae(), scheduler=a_scheduler()).save_pretrained(
        folder
    )


def micro_entry(folder: Path, **changes: object) -> ModelEntry:
    """The catalogue entry for the checkpoint."""
    return a_micro_model("micro-wan", "wan", folder).model_copy(update=changes)


def micro_request(**changes: Any) -> GenerationRequest:
    """What the checkpoint's defaults make of a prompt that it knows."""
    values = {
        "model": "micro-wan", "prompt": "red circle", "width": 32, "height": 32, "frames": 5, "fps": 8,
        "steps": STEPS, "sf": 4, "guidance": 3.0, "flow_shift": 1.0, "seed": 7,
    }  # fmt: skip
    return GenerationRequest(**(values | changes))


def calibrated(model: LoadedModel, request: GenerationRequest) -> LoadedModel:
    """The model by the paper's method, with made-up coefficients for this request that let it skip."""
    steps = request.steps
    coefficients = Coefficients(
        key=plan_run(model, request).key,
        alpha=torch.full((steps, BLOCKS), 0.9, dtype=torch.float64),
        spread=torch.zeros(steps, BLOCKS, dtype=torch.float64),
        kappa=3.0,
        max_skip=6,
        final_full_steps=1,
        estimator="pooled",
        prompts=1,
        seeds=1,
        convergence=[(1, 0.0)],
        expected_full_steps={4: 6.0},
        expected_full_steps_kappa_1={4: 9.0},
        relative_change=[0.1] * steps,
        prediction_error=[0.2] * (steps - 2),
    )
    return replace(model, entry=model.entry.model_copy(update={"method": "paper"}), coefficients=(coefficients,))
