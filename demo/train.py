"""The demo checkpoint from nothing: VAE, latents, text encoder with transformer, export.

Each stage saves its state every few minutes under `demo/work/`, so an interrupted run goes
on where it stopped. To begin anew, delete that folder.
"""

from __future__ import annotations

import torch

from demo import latents, pair, train_transformer, train_vae
from demo.export import export


def main() -> None:
    """Runs every stage that is not finished yet."""
    pair.run(train_vae.train)
    torch.set_num_threads(pair.WORKERS)
    print(f"validation PSNR {train_vae.validation_psnr(train_vae.trained_vae()):.2f} dB", flush=True)
    pair.run(latents.encode)
    pair.run(train_transformer.train)
    export()


if __name__ == "__main__":
    main()
