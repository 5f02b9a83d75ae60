"""Puts one hook onto a diffusers module from outside, and takes it off again without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.hooks import HookRegistry, ModelHook
from torch import nn

from workers.jobs.errors import UnsupportedPipeline

_NAME = "scalingcache"


@contextmanager
def hooked(transformer: nn.Module, hook: ModelHook, name: str = _NAME) -> Iterator[None]:
    """Inside, the transformer has the hook, outermost; outside, it is as it was before.

    name: of the hook, one of which a transformer can have at a time.

    Raises `UnsupportedPipeline` when another generation's hook is on it.
    """
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    if registry.get_hook(name) is not None:
        raise UnsupportedPipeline("another generation is running on this transformer")
    try:
        registry.register_hook(hook, name)
        # An earlier cache_context cached the list of hooked modules without this hook (diffusers#14037).
        registry.invalidate_child_registries_cache()
        yield
    finally:
        _unhook(transformer, registry, name)


def _unhook(transformer: nn.Module, registry: HookRegistry, name: str) -> None:
    registry.remove_hook(name, recurse=False)
    registry.invalidate_child_registries_cache()
    # The registry restores the forward it found as an instance attribute; without other hooks that is the class's own.
    if (
        not registry.hooks
        and getattr(transformer.__dict__.get("forward"), "__func__", None) is type(transformer).forward
    ):
        del transformer.__dict__["forward"]
