"""Three granularities of reuse in turns, after MixCache (https://arxiv.org/abs/2508.12691), as far as it is known here.

Of the paper its abstract was at hand: reuse of a whole step, of the guidance or of blocks; a trigger that follows the
content; an adaptive choice among the three. Its formulae were not, and no code is public: what follows is this bench's
reading, and says little of MixCache itself. The first three steps and the last are full. At a full step the relative
change of what each granularity would reuse is measured, over the part of a step that it saves; the smallest is taken,
none twice in a row. Its changes are added up, and from a threshold on the step is full.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import numpy as np
from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks._helpers import TransformerBlockRegistry
from torch import Tensor, nn

from bench.rivals.inputs import embedded, watched
from bench.rivals.rival import Knob, Rival, Run, last_block, only_transformer
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

Level = Literal["full", "step", "guidance", "blocks"]

FIRST = 3
THRESHOLDS = tuple(float(x) for x in np.geomspace(0.02, 5.0, 10).round(4))
NEVER = -1.0
SAVED: dict[Level, float] = {"step": 1.0, "guidance": 0.5, "blocks": 0.5}
"""The part of a step that each granularity leaves out."""


class MixCacheMethod:
    """A cache method that is also told of the transformer's inputs and of its middle blocks."""

    def __init__(self, transformer: Any, last_block: int, steps: int, threshold: float) -> None:
        self._transformer = transformer
        self._last_block = last_block
        self._steps = steps
        self._threshold = threshold
        self._step = 0
        self._leading: str | None = None  # the first stream of every step
        self._tokens: Tensor | None = None
        self._now: dict[tuple[str, Level], Tensor] = {}
        self._reused: dict[tuple[str, Level], Tensor] = {}  # at the latest full step, by stream
        self._changes: dict[Level, float] = {}
        self._outputs: dict[str, Tensor] = {}
        self._accumulated = 0.0
        self._previous: Level = "full"
        self.stream = ""
        self.level: Level = "full"

    @property
    def full(self) -> bool:
        """Of the current call: with reused guidance the first stream is computed."""
        return self.level in ("full", "blocks") or (self.level == "guidance" and self.stream == self._leading)

    def called(self, stream: str, arguments: dict[str, Any]) -> None:
        """Before each call; the first one of a step decides for all of them."""
        self.stream = stream
        self._leading = self._leading or stream
        self._tokens = embedded(self._transformer, arguments)
        if stream == self._leading:
            self.level = self._decided()

    def _decided(self) -> Level:
        if self._step < FIRST or self._step == self._steps - 1 or self._threshold < 0:
            return "full"
        choice = min((each for each in self._changes if each != self._previous), key=self._price)
        self._accumulated += self._changes[choice] * SAVED[choice]
        return choice if self._accumulated < self._threshold else "full"

    def _price(self, level: Level) -> float:
        return self._changes[level] / SAVED[level]

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        if block != self._last_block:
            return
        self._outputs[stream] = hidden
        if self.level == "full":
            assert self._tokens is not None
            self._now[stream, "step"] = hidden - self._tokens
            if stream != self._leading:
                self._now[stream, "guidance"] = hidden - self._outputs[str(self._leading)]

    def observe_middle(self, residual: Tensor) -> None:
        """What the middle blocks added at a full step."""
        self._now[self.stream, "blocks"] = residual

    def middle(self) -> Tensor:
        """What the middle blocks are taken to add at this step."""
        return self._reused[self.stream, "blocks"]

    def predict(self, stream: str) -> Tensor:
        if self.level == "guidance":
            return self._outputs[str(self._leading)] + self._reused[stream, "guidance"]
        assert self._tokens is not None
        return self._tokens + self._reused[stream, "step"]

    def end_step(self) -> None:
        if self.level == "full":
            changes: dict[Level, list[float]] = {}
            for key, now in self._now.items():
                if (before := self._reused.get(key)) is not None:
                    changes.setdefault(key[1], []).append(float((now - before).abs().mean() / before.abs().mean()))
            self._changes = {level: max(values) for level, values in changes.items()}
            self._reused, self._now = self._now, {}
            self._accumulated = 0.0
        self._previous = self.level
        self._step += 1


class _Middle(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """On one of the middle blocks: passes its input on where their residual is reused, which the last one adds."""

    def __init__(self, method: MixCacheMethod, begun: dict[str, Tensor], *, first: bool, last: bool) -> None:
        super().__init__()
        self._method = method
        self._begun = begun
        self._first = first
        self._last = last

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        known = TransformerBlockRegistry.get(type(module))
        image, text = known.return_hidden_states_index, known.return_encoder_hidden_states_index
        hidden = known._get_parameter_from_args_kwargs("hidden_states", args, kwargs)
        if self._first:
            self._begun["hidden"] = hidden
        if self._method.level == "blocks":
            hidden = hidden + self._method.middle() if self._last else hidden
            if text is None:
                return hidden
            encoder = known._get_parameter_from_args_kwargs("encoder_hidden_states", args, kwargs)
            return (hidden, encoder) if image == 0 else (encoder, hidden)
        output = self.fn_ref.original_forward(*args, **kwargs)
        if self._last and self._method.level == "full":
            made = output if text is None else output[image]
            self._method.observe_middle(made - self._begun["hidden"])
        return output


@contextmanager
def _middle_blocks(blocks: Sequence[nn.Module], method: MixCacheMethod) -> Iterator[None]:
    """Inside, the middle half of the blocks asks the method whether to run."""
    quarter = max(1, len(blocks) // 4)
    middle = blocks[quarter : len(blocks) - quarter]
    begun: dict[str, Tensor] = {}
    with ExitStack() as undo:
        for number, block in enumerate(middle):
            registry = HookRegistry.check_if_exists_or_initialize(block)
            hook = _Middle(method, begun, first=number == 0, last=number == len(middle) - 1)
            registry.register_hook(hook, "rival_middle")
            undo.callback(registry.remove_hook, "rival_middle", recurse=False)
        yield


class MixCache(Rival):
    """The threshold is on the accumulated change."""

    name = "mix-cache"
    title = "three granularities, after MixCache's abstract"
    knob = "threshold"
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return NEVER

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        transformer = only_transformer(model)
        method = MixCacheMethod(transformer, last_block(model), request.steps, float(setting))
        blocks = model.family.layout().blocks(transformer)
        with watched(transformer, method.called), _middle_blocks(blocks, method):
            yield Run.of(model, request, method)


RIVALS: list[Rival] = [MixCache()]
