"""Cache methods whose results are known, so that a test sees what is put around them alone."""

from torch import Size, Tensor


class Record:
    """Computes everything; keeps the last block's output of each step and stream, and the shape of every block's."""

    full = True

    def __init__(self) -> None:
        self.outputs: dict[tuple[int, str], Tensor] = {}
        self.seen: list[tuple[str, int, Size]] = []
        self._step = 0

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        self.seen.append((stream, block, hidden.shape))
        self.outputs[self._step, stream] = hidden  # The last block is the last to come.

    def predict(self, stream: str) -> Tensor:
        raise AssertionError(stream)

    def end_step(self) -> None:
        self._step += 1


class Replay:
    """Computes every other step in full, and 'predicts' what a full run is known to give: the head alone is tested."""

    def __init__(self, outputs: dict[tuple[int, str], Tensor], step: int = 0) -> None:
        self._outputs, self._step, self.blocks_run = outputs, step, 0

    @property
    def full(self) -> bool:
        return self._step % 2 == 0

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        self.blocks_run += 1

    def predict(self, stream: str) -> Tensor:
        return self._outputs[self._step, stream]

    def end_step(self) -> None:
        self._step += 1
