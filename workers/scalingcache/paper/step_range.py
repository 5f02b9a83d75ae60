"""Which numbers of steps coefficients hold for, beside the measured one. Torch-free: the service asks too."""

FEWEST, MOST = 0.5, 2.0  # of the measured number of steps: beyond, the differences are not the measured ones any more


def step_range(measured: int) -> range:
    """The numbers of steps that coefficients measured with `measured` steps are resampled to."""
    return range(max(3, round(measured * FEWEST)), round(measured * MOST) + 1)
