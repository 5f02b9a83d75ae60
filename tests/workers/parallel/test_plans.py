"""The systems of several GPUs that the catalogue names, at their real size, on the meta device: all shapes are real."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from diffusers import HunyuanVideoTransformer3DModel, WanTransformer3DModel
from diffusers.models.attention_dispatch import attention_backend
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from workers.models.catalogue import Catalogue
from workers.models.entry import Parallel
from workers.parallel.sequence import SequencePlan, complaint, split
from workers.parallel.world import CFG, RING, ULYSSES

SHIPPED = Catalogue.read(Path("models.toml"))


def wan(channels: int, *latent: int, **config: int) -> tuple[nn.Module, dict[str, Tensor]]:
    transformer = WanTransformer3DModel(in_channels=channels, out_channels=channels, **config)
    inputs = {
        "hidden_states": torch.empty(1, channels, *latent),
        "timestep": torch.empty(1),
        "encoder_hidden_states": torch.empty(1, 512, 4096),
    }
    return transformer, inputs


def wan_14b() -> tuple[nn.Module, dict[str, Tensor]]:
    return wan(16, 21, 60, 104)


def wan_5b() -> tuple[nn.Module, dict[str, Tensor]]:
    """Each token has a timestep of its own."""
    transformer, inputs = wan(48, 31, 44, 80, num_layers=30, num_attention_heads=24, ffn_dim=14336)
    return transformer, inputs | {"timestep": torch.empty(1, 31 * 22 * 40)}


def hunyuan() -> tuple[nn.Module, dict[str, Tensor]]:
    inputs = {
        "hidden_states": torch.empty(1, 16, 33, 68, 120),
        "timestep": torch.empty(1),
        "encoder_hidden_states": torch.empty(1, 256, 4096),
        "encoder_attention_mask": torch.empty(1, 256),
        "pooled_projections": torch.empty(1, 768),
        "guidance": torch.empty(1),
    }
    return HunyuanVideoTransformer3DModel(), inputs


@pytest.fixture
def ranks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A process group of so many ranks, of which this one alone is real; nothing is sent."""
    dist.init_process_group("fake", rank=0, world_size=request.param, store=FakeStore())
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("name", "build", "ranks", "parallel", "billions", "tokens"),
    [
        ("wan2.1-t2v-14b-4gpu", wan_14b, 4, Parallel(ulysses=2, ring=2), 14.3, 32_760),
        ("wan2.2-ti2v-5b-2gpu", wan_5b, 2, Parallel(ulysses=2), 5.0, 27_280),
        ("hunyuan-video-4gpu", hunyuan, 4, Parallel(ulysses=4), 12.8, 67_320),
    ],
    indirect=["ranks"],
)
@pytest.mark.filterwarnings("ignore:.*all_gather_tensor.*:FutureWarning")
@pytest.mark.usefixtures("ranks")
def test_a_rank_of_each_system_computes_its_part_of_the_tokens_and_gives_the_whole_output(
    name: str, build: Callable[[], tuple[Any, dict[str, Tensor]]], parallel: Parallel, billions: float, tokens: int
) -> None:
    entry, family = SHIPPED.entry(name), SHIPPED.family(name)
    request = SHIPPED.request(name, "a prompt")
    plan = family.sequence_plan()
    assert entry.parallel == parallel and plan is not None
    assert family.tokens(request) == tokens and tokens % parallel.shards == 0
    with torch.device("meta"):
        transformer, inputs = build()
        transformer.to(torch.bfloat16)
        states = ("hidden_states", "encoder_hidden_states", "pooled_projections")
        inputs = {key: value.bfloat16() if key in states else value for key, value in inputs.items()}
    if entry.attention_backend is not None:
        with attention_backend():  # The call also changes the default of all models; this puts it back.
            transformer.set_attention_backend(entry.attention_backend)
    assert complaint(transformer.config.num_attention_heads, parallel.ulysses, parallel.ring, plan) is None
    degrees = (parallel.cfg, parallel.ring, parallel.ulysses)
    split(transformer, plan, init_device_mesh("cpu", degrees, mesh_dim_names=(CFG, RING, ULYSSES)))
    parts = set[int]()
    layout = family.layout()
    for block in layout.blocks(transformer):
        block.register_forward_hook(lambda _module, _args, output: parts.add(layout.hidden(output).shape[1]))
    with torch.no_grad():
        output = transformer(**inputs, return_dict=False)[0]

    assert parts == {tokens // parallel.shards}
    assert output.shape == inputs["hidden_states"].shape
    weights = sum(parameter.numel() for parameter in transformer.parameters())
    assert round(weights / 1e9, 1) == billions
    each = f"{tokens // parallel.shards:,} of {tokens:,} tokens"
    print(f"{name}: {parallel.shown()}, each {2 * weights / 2**30:.1f} GiB of transformer and {each}")  # noqa: T201


def test_what_cannot_be_split_is_said_before_anything_is_loaded() -> None:
    plan = SequencePlan({})
    assert complaint(40, 2, 2, plan) is None
    assert complaint(40, 2, 1, None) == "this family has no plan to split its tokens; leave ulysses and ring out"
    assert complaint(12, 8, 1, plan) == "ulysses 8 must divide the transformer's 12 attention heads"
    masked = complaint(24, 2, 2, SequencePlan({}, masked=True))
    assert masked is not None and masked.startswith("ring 2: attention of this family goes by a mask")
