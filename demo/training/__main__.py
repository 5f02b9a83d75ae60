"""`python -m demo.training flux-tiny`: a demo checkpoint from nothing.

The stages are the VAE, the latents, the text encoders with the transformer, and the export.

Each saves its state every few minutes under `demo/work/`, so an interrupted run goes on where it stopped.
The transformer's stage draws what it has learned, every quarter of an hour, into `demo/work/<model>/samples`.
To begin anew, delete the model's folder there.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch

from demo.training import data_parallel, emoji, latents, transformer, vae
from demo.training.export import export
from demo.training.recipes import NAMES, recipe


def main() -> None:
    """Runs every stage that is not finished yet."""
    parser = argparse.ArgumentParser(prog="python -m demo.training", description="A demo checkpoint from nothing.")
    parser.add_argument("model", choices=NAMES)
    wanted = recipe(parser.parse_args().model)
    if wanted.emoji:
        emoji.install()
    if wanted.vae_phases:
        data_parallel.run(partial(vae.train, wanted))
    torch.set_num_threads(data_parallel.WORKERS)
    print(f"validation PSNR {vae.validation_psnr(wanted):.2f} dB", flush=True)
    data_parallel.run(partial(latents.encode, wanted))
    data_parallel.run(partial(transformer.train, wanted))
    export(wanted)


if __name__ == "__main__":
    main()
