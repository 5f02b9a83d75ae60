"""Training sees what the pipelines will give: the same tokens, the same text, latents in the same scale."""

from typing import Any

import pytest
import torch

from demo.latents import Latents
from demo.recipe import NAMES, Recipe, recipe
from demo.train_transformer import Batch
from demo.train_vae import batch_of, decoded, encoded, phase_of
from workers.models.catalogue import Catalogue

CATALOGUE = Catalogue.read(recipe("wan-tiny").folder.parents[2] / "models.toml")
PROMPT = "a striped red circle slowly drifts diagonally to the upper right over a chessboard, in warm light"


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest) -> Recipe:
    return recipe(request.param)


@pytest.fixture(scope="module")
def latents(made: Recipe) -> Latents:
    """Of two clips, as the stages keep them."""
    size = CATALOGUE.entry(made.name).defaults
    channels = 16 if made.still else 8
    frames = (size.frames - 1) // 4 + 1
    values = torch.randn(64, channels, frames, size.height // 8, size.width // 8, dtype=torch.float16)
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
    noisy = torch.zeros(1, 16 if made.still else 8, 1, 12, 12)
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


def test_a_step_of_every_phase_gives_a_velocity_for_each_latent(made: Recipe, latents: Latents) -> None:
    made_small = type("Small", (type(made),), {"clips": len(latents.values)})()
    for phase in made.phases:
        batch = Batch(made_small, phase, phase.prefix[0], 0, latents.values)
        assert batch.levels.shape == (phase.batch, latents.values.shape[2])
        given = batch.levels[:, 0] == 0
        assert given.any() == (made.given_first > 0) and torch.equal(batch.learned[:, 0, 0, 0, 0] == 0, given)
        few = [tensor[:2] for tensor in (batch.noisy, batch.levels, batch.guidance, *batch.texts)]
        with torch.no_grad():
            velocity = made.networks()(*few)
        assert velocity.shape == batch.velocity[:2].shape
        assert batch.noisy.shape == batch.velocity.shape


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
    with pytest.raises(ValueError, match="no recipe for 'wan-large'; there are wan-tiny"):
        recipe("wan-large")
