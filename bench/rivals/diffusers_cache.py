"""What the rivals that ship with diffusers have in common: a configuration that is enabled for one run."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any, ClassVar

from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.hooks import StateManager
from torch import nn

from bench.rivals.family import Altered
from bench.rivals.rival import Knob, Rival, Run
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


class DiffusersRival(Rival):
    """A configuration of `enable_cache`, by the setting."""

    library: ClassVar[bool] = True

    @abstractmethod
    def config(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Any:
        """A fresh configuration."""

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        with enabled(model, self.config(model, request, setting)):
            yield Run.of(model, request)


@contextmanager
def enabled(model: LoadedModel, config: Any) -> Iterator[None]:
    """Inside, the model's transformers have the cache."""
    transformers: Sequence[Any] = model.family.transformers(model.pipeline)
    with ExitStack() as undo:
        for transformer in transformers:
            transformer.enable_cache(config)
            undo.callback(transformer.disable_cache)
        yield


class Pipelines:
    """Which pipeline is running: a family may make another one for a request than the loaded one."""

    def __init__(self, model: LoadedModel) -> None:
        self._make = model.family.pipeline
        self._running = model.pipeline
        self.family: Any = Altered(model.family, pipeline=self._pipeline)

    def _pipeline(self, loaded: Any, request: GenerationRequest) -> Any:
        self._running = self._make(loaded, request)
        return self._running

    def timestep(self) -> float:
        """Of the current step, from 1000 falling to 0."""
        timestep = self._running.current_timestep
        return math.inf if timestep is None else float(timestep)

    def place(self) -> dict[str, Any]:
        """Where the denoising loop is, as `cache_context` takes it: step, noise level, number of steps."""
        scheduler = self._running.scheduler
        step = scheduler.step_index or 0  # None before the first step.
        steps = len(scheduler.timesteps)
        return {"step_index": step, "sigma": float(scheduler.sigmas[step]), "num_inference_steps": steps}


class _Streams(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Gives every hook that has one `state` for all calls a state for each cache context."""

    _is_stateful = True  # so that `cache_context` reaches `place`

    def __init__(self, registries: list[HookRegistry]) -> None:
        super().__init__()
        self.place = StateManager(None)
        self._hooks = [hook for each in registries for hook in each.hooks.values() if hasattr(hook, "state")]
        self._fresh = [copy(hook.state) for hook in self._hooks]
        self._states: dict[str, list[Any]] = {}

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        name = self.place.context.name
        states = self._states.setdefault(name, [copy(state) for state in self._fresh])
        for hook, state in zip(self._hooks, states, strict=True):
            hook.state = state
        return args, kwargs

    def reset_state(self, module: nn.Module) -> nn.Module:
        return module


@contextmanager
def states_by_stream(transformer: nn.Module) -> Iterator[None]:
    """Inside, hooks that diffusers gives one state for both streams of guidance have one for each.

    Without it the unconditional call of a step would reuse what the conditional one has just computed.
    """
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    registries = [module._diffusers_hook for module in transformer.modules() if hasattr(module, "_diffusers_hook")]
    registry.register_hook(_Streams(registries), "rival_streams")
    registry.invalidate_child_registries_cache()
    try:
        yield
    finally:
        registry.remove_hook("rival_streams", recurse=False)
        registry.invalidate_child_registries_cache()
