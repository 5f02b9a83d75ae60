"""Which entries and requests several GPUs can compute, by what the catalogue says."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.catalogues import a_model, catalogue_text
from workers.jobs.errors import InvalidRequest
from workers.models.catalogue import Catalogue
from workers.models.entry import Parallel
from workers.models.layers import CatalogueError


def read(tmp_path: Path, family: str, parallel: dict[str, int], **fields: Any) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(a_model(family=family, parallel=parallel, **fields)))
    return Catalogue.read(path)


def test_degrees_multiply() -> None:
    parallel = Parallel(cfg=2, ulysses=4, ring=2)
    assert (parallel.ranks, parallel.shards) == (16, 8)
    assert parallel.shown() == "16 ranks (CFG 2 x Ulysses 4 x ring 2)"
    assert Parallel(ulysses=2).shown() == "2 ranks (Ulysses 2)"


def test_an_entry_says_how_many_processes_it_takes(tmp_path: Path) -> None:
    entry = read(tmp_path, "wan", {"ulysses": 2}).entry("wan-test")
    assert entry.parallel == Parallel(ulysses=2)
    assert entry.shown() == "float32 on cpu, 2 ranks (Ulysses 2)"


@pytest.mark.parametrize(
    ("parallel", "fields", "says"),
    [
        ({}, {}, "all 1, which is one GPU"),
        ({"cfg": 3}, {}, "Input should be 1 or 2"),
        ({"ulysses": 0}, {}, "greater than or equal to 1"),
        ({"ulysses": 2}, {"device": "cuda", "offload": "model"}, "leave offload 'model' out"),
        ({"ulysses": 2}, {"compile": True}, "cannot be had with compile"),
        ({"ring": 2}, {}, "needs an attention_backend that returns its log-sum-exp: _native_cudnn, .*it is 'native'"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    parallel: dict[str, int], fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        a_model(parallel=parallel, **fields)


def test_streams_can_be_shared_by_compiled_models_and_rings_be_made_of_some_attention() -> None:
    assert a_model(parallel={"cfg": 2}, compile=True).parallel == Parallel(cfg=2)
    assert a_model(parallel={"ring": 2}, attention_backend="_native_cudnn").parallel == Parallel(ring=2)
    assert a_model(parallel={"ulysses": 2}, method="paper").parallel == Parallel(ulysses=2)


def test_a_file_with_what_cannot_work_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(a_model()) + "\n[models.wan-test.parallel]\nulises = 2\n")
    with pytest.raises(CatalogueError, match=r"models\.toml: models\.wan-test\.parallel\.ulises.*did you mean ulysses"):
        Catalogue.read(path)


@pytest.mark.parametrize(
    ("family", "defaults", "says"),
    [
        ("wan", {"guidance": 1.0}, "cfg 2: its requests have one stream, as defaults.guidance is 1"),
        (
            "flux",
            {"frames": 1, "flow_shift": None},
            "cfg 2: its requests have one stream, as defaults.true_cfg_scale is 1",
        ),
    ],
)
def test_two_halves_need_two_streams(tmp_path: Path, family: str, defaults: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogueError, match=rf"models\.toml: models\.wan-test\.parallel: {says}"):
        read(tmp_path, family, {"cfg": 2}, defaults=defaults)


def test_a_text_that_cannot_be_split_evenly_is_refused_where_it_would_be_split(tmp_path: Path) -> None:
    of_flux = {"frames": 1, "flow_shift": None, "max_sequence_length": 63}
    with pytest.raises(CatalogueError, match="max_sequence_length 63 must be a multiple of 2, ulysses times ring"):
        read(tmp_path, "flux", {"ulysses": 2}, defaults=of_flux)
    read(tmp_path, "wan", {"ulysses": 2}, defaults={"max_sequence_length": 63})


def test_a_size_whose_tokens_do_not_divide_is_refused(tmp_path: Path) -> None:
    catalogue = read(tmp_path, "wan", {"ulysses": 2, "cfg": 2})
    catalogue.request("wan-test", "a prompt", width=48, height=48, frames=5)
    with pytest.raises(InvalidRequest, match="size 48x48, 1 frames: its 9 tokens must be a multiple of 2") as refused:
        catalogue.request("wan-test", "a prompt", width=48, height=48, frames=1)
    assert refused.value.param == "size"
