"""In what precision training multiplies: bfloat16 where the processor has instructions for it, else float32.

Without them PyTorch's bfloat16 is far slower: products of wan-tiny's size ran at 3 GFLOPS in place of 77 (one core
of an AMD EPYC with AVX2, 2026-11-26).
"""

from __future__ import annotations

import torch

DTYPE = torch.bfloat16 if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported() else torch.float32


def autocast(wanted: torch.dtype = torch.bfloat16) -> torch.autocast:
    """Multiplications in bfloat16 where that is `wanted` and fast, everything else as it is."""
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted == DTYPE == torch.bfloat16)
