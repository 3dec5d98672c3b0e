"""The maps of several layers of a network from one pass through it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from spaceform.errors import InputError


class FeatureTaps(nn.Module):
    """A network whose answer is the maps of some of its layers, shallow or deep, instead of its own.

    ``taps(x)`` runs ``module`` once and returns ``{name: map (B, C, H, W)}`` in the order of ``layer_names``. Hooks
    are set for the pass and removed after it, so that the module stays as it was and can be copied and saved.
    Parameters: ``module`` any network; ``layer_names`` as in ``module.named_modules()``, each once.

    Raises ``InputError`` for an unknown name (near ones are listed) or a repeated one, and, in a pass, for a layer that
    is not reached or runs twice, and for outputs that are no 4-D maps. Costs the pass: O(B).

    Traps: a layer that works in place on a tapped map (as ``ReLU(inplace=True)`` after a batch norm) changes it.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    >>> {name: tuple(x.shape) for name, x in FeatureTaps(net, ["0", "2"])(torch.zeros(1, 3, 8, 8)).items()}
    {'0': (1, 4, 6, 6), '2': (1, 5, 4, 4)}
    """

    def __init__(self, module: nn.Module, layer_names: Sequence[str]) -> None:
        super().__init__()
        known = [name for name, _ in module.named_modules() if name]
        names = [layer_names] if isinstance(layer_names, str) else list(layer_names)
        if not names or len(set(names)) < len(names):
            raise InputError("layer_names", got=names, expected="at least one name, each once")
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.3) or known[:5]
                raise InputError("layer_names", got=repr(name), expected="a layer, such as " + ", ".join(near))
        self.module, self.layer_names = module, tuple(names)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the map of each tapped layer for the input ``x`` of the module."""
        seen: dict[str, list[Any]] = {name: [] for name in self.layer_names}
        hooks = [self.module.get_submodule(name).register_forward_hook(_keep(seen[name])) for name in self.layer_names]
        try:
            self.module(x)
        finally:
            for hook in hooks:
                hook.remove()
        for name, outputs in seen.items():
            if len(outputs) != 1:
                raise InputError("layer_names", got=f"{name!r}, which ran {len(outputs)} times", expected="once a pass")
            if not isinstance(outputs[0], torch.Tensor) or outputs[0].ndim != 4:
                shape = tuple(outputs[0].shape) if isinstance(outputs[0], torch.Tensor) else type(outputs[0]).__name__
                raise InputError(
                    "layer_names", got=f"{name!r} of shape {shape}", expected="a layer of maps (B, C, H, W)"
                )
        return {name: outputs[0] for name, outputs in seen.items()}

    @torch.no_grad()
    def channels(self, input_shape: Sequence[int]) -> list[int]:
        """Return the channels of each map for inputs of ``input_shape (C, H, W)``, from a pass that changes nothing."""
        parameter = next(self.module.parameters(), None)
        modes = {layer: layer.training for layer in self.module.modules()}
        try:
            self.module.eval()
            maps = self(torch.zeros(1, *input_shape, device=None if parameter is None else parameter.device))
        finally:
            for layer, mode in modes.items():
                layer.training = mode
        return [maps[name].shape[1] for name in self.layer_names]


def _keep(outputs: list[Any]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        outputs.append(output)

    return hook
