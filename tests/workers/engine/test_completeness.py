"""A checkpoint is loaded whole or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.workers.engine.variants import VARIANTS
from workers.engine.loaded import load_model
from workers.jobs.errors import ModelLoadFailed
from workers.models.catalogue import families


@pytest.mark.parametrize("name", ["flux", "hunyuan video", "wan i2v"])
def test_a_checkpoint_without_one_of_its_weights_is_refused(name: str, tmp_path: Path) -> None:
    variant = VARIANTS[name]
    variant.save(tmp_path)
    entry = variant.entry(tmp_path)
    load_model(entry, families()[entry.family])
    parts = sorted(tmp_path.glob("*/*.safetensors"))
    assert {"transformer", "vae", "text_encoder"} <= {path.parent.name for path in parts}
    for path in parts:
        whole = load_file(path)
        lost = next(each for each in sorted(whole, reverse=True) if each.endswith("weight"))
        save_file({each: whole[each] for each in whole if each != lost}, path, metadata={"format": "pt"})
        with pytest.raises(ModelLoadFailed, match=r"lacks \d weights|meta tensor"):
            load_model(entry, families()[entry.family])
        save_file(whole, path, metadata={"format": "pt"})


def test_one_with_weights_that_no_layer_has_is_loaded(tmp_path: Path) -> None:
    variant = VARIANTS["wan t2v"]
    variant.save(tmp_path)
    [path] = (tmp_path / "text_encoder").glob("*.safetensors")
    save_file(load_file(path) | {"lm_head.weight": torch.zeros(2)}, path, metadata={"format": "pt"})
    entry = variant.entry(tmp_path)
    load_model(entry, families()[entry.family])
