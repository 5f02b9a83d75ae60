"""A demo checkpoint from nothing: VAE, latents, text encoders with transformer, export.

python -m demo.train flux-tiny

Each stage saves its state every few minutes under `demo/work/`, so an interrupted run goes
on where it stopped. To begin anew, delete the model's folder there.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch

from demo import latents, pair, train_transformer, train_vae
from demo.export import export
from demo.recipe import NAMES, recipe


def main() -> None:
    """Runs every stage that is not finished yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=NAMES)
    wanted = recipe(parser.parse_args().model)
    if wanted.vae_phases:
        pair.run(partial(train_vae.train, wanted))
    torch.set_num_threads(pair.WORKERS)
    print(f"validation PSNR {train_vae.validation_psnr(wanted):.2f} dB", flush=True)
    pair.run(partial(latents.encode, wanted))
    pair.run(partial(train_transformer.train, wanted))
    export(wanted)


if __name__ == "__main__":
    main()
