"""Training sees what the pipelines will give: the same tokens, the same text, latents in the same scale."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE

from demo.training.clips import clips_of
from demo.training.latents import _statistics
from demo.training.recipe import Latents, Phase, Recipe
from demo.training.recipes import NAMES, recipe
from demo.training.recipes.hunyuan_tiny import llama_tokenizer
from demo.training.transformer import Batch, guided
from demo.training.vae import batch_of, decoded, encoded, phase_of
from workers.models.catalogue import Catalogue

CATALOGUE = Catalogue.read(recipe("wan-tiny").folder.parents[2] / "models.toml")
PROMPT = "a striped red circle slowly drifts diagonally to the upper right over a chessboard, in warm light"


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest) -> Recipe:
    return recipe(request.param)


def channels_of(made: Recipe) -> int:
    """Of its latents, as its VAE says."""
    config: Any = made.vae().config
    return int(config.get("latent_channels") or config.z_dim)


@pytest.fixture(scope="module")
def latents(made: Recipe) -> Latents:
    """Of two clips, as the stages keep them."""
    size = CATALOGUE.entry(made.name).defaults
    channels = channels_of(made)
    frames = (size.frames - 1) // 4 + 1
    factor = 4 if made.still else 8
    values = torch.randn(64, channels, frames, size.height // factor, size.width // factor, dtype=torch.float16)
    return Latents(values, [0.25] * channels, [2.0] * channels)


@pytest.fixture(scope="module")
def pipeline(made: Recipe, latents: Latents) -> Any:
    torch.manual_seed(0)
    return made.pipeline(made.networks(), made.vae(), latents)


def test_the_text_that_training_sees_is_the_pipelines(made: Recipe, pipeline: Any) -> None:
    networks = made.networks()
    for part in ("text_encoder", "text_encoder_2"):
        if hasattr(networks, part):
            getattr(networks, part).load_state_dict(getattr(pipeline, part).state_dict())
    seen: dict[str, Any] = {}

    def remember(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ("hidden_states", "timestep", "encoder_hidden_states")
        seen.update(zip(names, args, strict=False), **kwargs)

    networks.transformer.register_forward_pre_hook(remember, with_kwargs=True)
    entry = CATALOGUE.entry(made.name)
    noisy = torch.zeros(1, channels_of(made), 1, 12, 12)
    with torch.no_grad():
        networks(noisy, torch.full((1, 1), 0.5), torch.ones(1), *made.tokenize([PROMPT]))
        request = CATALOGUE.request(made.name, PROMPT, seed=1)
        embeddings = CATALOGUE.family(made.name).encode(pipeline, request, entry)
    text = embeddings["prompt_embeds"]
    assert text is not None and "<unk>" not in pipeline.tokenizer.tokenize(PROMPT)
    mask = embeddings.get("prompt_attention_mask")
    kept = slice(None) if mask is None else mask[0].bool()
    assert torch.allclose(seen["encoder_hidden_states"][0][kept], text[0][kept], atol=1e-5)
    pooled = embeddings.get("pooled_prompt_embeds")
    assert pooled is None or torch.allclose(seen["pooled_projections"], pooled, atol=1e-5)


def test_the_instruction_before_hunyuans_prompts_has_as_many_tokens_as_the_pipeline_cuts_off() -> None:
    tokens, mask, _clip = recipe("hunyuan-tiny").tokenize(["magenta pyramid"])
    kept = llama_tokenizer().convert_ids_to_tokens(tokens[0, DEFAULT_PROMPT_TEMPLATE["crop_start"] :])
    assert kept[:3] == ["magenta", "pyramid", "<|eot_id|>"] and mask[0].sum() == len(tokens[0]) - kept.count("<pad>")


def test_latents_leave_the_pipeline_in_the_scale_of_the_vae(made: Recipe, pipeline: Any) -> None:
    """By the formulas of the pipelines: what training divided by, decoding multiplies with."""
    config = pipeline.vae.config
    if made.normalised == "channels":
        shift, scale = config.latents_mean[0], config.latents_std[0]
    else:
        shift, scale = config.get("shift_factor") or 0.0, 1.0 / config.scaling_factor
    assert (shift, scale) == (0.0 if made.normalised == "scale" else 0.25, 2.0)


def test_latents_are_normalised_as_far_as_the_vae_can_say(made: Recipe) -> None:
    channels = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1, 1)
    sample = channels + channels * torch.randn(64, 2, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    mean, std = _statistics(made, sample)
    expected = {
        "channels": ([1.0, 3.0], [1.0, 3.0]),
        "shift and scale": ([2.0, 2.0], [6.0**0.5] * 2),
        "scale": ([0.0, 0.0], [10.0**0.5] * 2),
    }[made.normalised]
    assert torch.allclose(torch.stack([mean, std]), torch.tensor(expected), atol=0.1)


def test_a_teacher_is_asked_with_and_without_the_prompt_and_taken_further_by_the_guidance(made: Recipe) -> None:
    batch = SimpleNamespace(
        noisy=torch.zeros(2, 8, 1, 2, 2), levels=torch.ones(2, 1), guidance=torch.tensor([1.0, 3.0]),
        texts=made.tokenize(["red circle", "blue circle"]),
    )  # fmt: skip

    def teacher(noisy: Any, _levels: Any, guidance: Any, *texts: Any) -> Any:
        assert torch.equal(guidance, torch.ones(2))
        prompted = not torch.equal(texts[0], made.tokenize(["", ""])[0])
        return torch.full_like(noisy, 5.0 if prompted else 1.0)

    velocity = guided(teacher, batch, made)  # type: ignore[arg-type]
    assert velocity[0].unique().tolist() == [5.0] and velocity[1].unique().tolist() == [13.0]


def test_a_step_of_every_phase_gives_a_velocity_for_each_latent(made: Recipe, latents: Latents) -> None:
    made_small = type("Small", (type(made),), {"clips": len(latents.values)})()
    for phase in made.phases:
        batch = Batch(made_small, phase, phase.prefix[0], 0, latents.values)
        assert batch.levels.shape == (phase.batch, latents.values.shape[2])
        without_noise = batch.levels[:, 0] == 0
        assert without_noise.any() == (made.given_first > 0) and torch.equal(
            batch.learned[:, 0, 0, 0, 0] == 0, without_noise
        )
        few = [tensor[:2] for tensor in (batch.noisy, batch.levels, batch.guidance, *batch.texts)]
        with torch.no_grad():
            velocity = made.networks()(*few)
        assert velocity.shape == batch.velocity[:2].shape
        assert batch.noisy.shape == batch.velocity.shape


def test_two_of_three_short_steps_see_the_beginnings_of_more_clips() -> None:
    made = type("Small", (type(recipe("wan-tiny")),), {"clips": 24})()
    phase = Phase("short", steps=9, batch=4, short=3)
    values = torch.randn(24, 8, 9, 2, 2)
    sizes = [tuple(Batch(made, phase, step, 0, values).noisy.shape[::2]) for step in range(4)]
    assert sizes == [(4, 9, 2), (12, 3, 2), (12, 3, 2), (4, 9, 2)]


def test_a_favoured_shape_is_seen_more_often() -> None:
    made = type("Marked", (type(recipe("wan-tiny")),), {"clips": 512})()
    values = torch.zeros(512, 8, 1, 2, 2)
    values[list(clips_of("cross", 512))] = 1.0  # velocity = noise - clean and noisy between: clean is what is left

    def part(favoured: tuple[str, float] | None) -> float:
        batch = Batch(made, Phase("some", steps=9, batch=256, favoured=favoured), 0, 0, values)
        clean = batch.noisy - batch.levels.view(-1, 1, 1, 1, 1) * batch.velocity
        return float(clean.mean())

    assert part(("cross", 0.5)) > part(None) + 0.2 and part(("cross", 1.0)) == pytest.approx(1.0)


def test_the_vae_makes_latents_of_the_size_that_the_pipeline_expects(made: Recipe, latents: Latents) -> None:
    vae, clip = made.vae().eval(), torch.rand(1, 3, latents.values.shape[2] * 4 - 3, 96, 96)
    with torch.no_grad():
        code = encoded(made, vae, clip[:, :, : 1 if made.still else None]).mode()
        shown = decoded(made, vae, code)
    assert code.shape[1:] == (latents.values[0, :, 0] if made.still else latents.values[0]).shape
    assert shown.shape[-2:] == (96, 96)


def test_every_step_of_the_vae_has_its_excerpts(made: Recipe) -> None:
    first = 0
    for phase in made.vae_phases:
        for step in range(first, first + len(phase.kinds)):
            frames, side = phase.kinds[step % len(phase.kinds)]
            assert phase_of(made, step) is phase
            assert batch_of(made, step, 0).shape == (phase.batch, 3, frames, side, side)
        first += phase.steps


def test_a_checkpoint_without_a_recipe_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no recipe for 'wan-large'; there are flux-tiny, hunyuan-tiny"):
        recipe("wan-large")
