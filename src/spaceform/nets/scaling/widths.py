"""Any torch network in the scaling of one's choice: given the same design at a base width, at which nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError

SCALINGS = ("mup", "ntk", "standard", "mean-field")
OPTIMIZERS = ("sgd", "adam")
_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class WidthRole:
    """What a parameter is in a family of networks: how many times its fan-in and fan-out grew over the base width.

    ``role``: "fixed" (neither grew), "input" (fan-out; biases and gains, too), "hidden" (both), "output" (fan-in).
    ``multiplier`` of the forward pass, ``start`` times the scale of the base's initial draws, ``rate`` times its SGD
    rate.
    """

    name: str
    role: str
    fan_in: float
    fan_out: float
    multiplier: float
    start: float
    rate: float


@final
class WidthScaling:
    """Put a freshly made network into a scaling relative to the same design at a base width.

    With m the growth of a parameter's fan-in or fan-out:

    ============= ==================== ====================== =============================
    scaling       input, bias          hidden                 output
    ============= ==================== ====================== =============================
    mup           rate m               rate m_out / m_in      multiplier 1/m, start 1, rate m
    ntk           unchanged            multiplier m^-1/2      multiplier m^-1/2, start 1
    standard      unchanged            start m^-1/2           start m^-1/2
    mean-field    rate m               refused                multiplier 1/m, start 1, rate m
    ============= ==================== ====================== =============================

    ("start 1": the initial scale of the base width; hidden weights of muP start with m^-1/2 of it.) At base width all
    four are one network, so rates tuned there can be compared. muP as in the authors' package (SGD; for Adam only the
    hidden matrices change, to rate / m).

    Parameters: ``model`` is changed in place: initial values of linear and convolutional layers, which torch draws by
    fan-in, are rescaled, and multipliers are put before them as hooks, which no file holds: make the scaling again
    before loading weights. ``base`` the same design at the base width (only its shapes are read).

    Raises ``InputError`` for other names or numbers of dimensions than the base's, hidden matrices under mean-field
    scaling, and multipliers of parameters that stand in no linear or convolutional layer. Weights that are used twice
    (tied) are out of reach, and attention's 1/sqrt(d) is left as it is. O(parameters).

    >>> wide, base = (nn.Sequential(nn.Linear(4, n), nn.ReLU(), nn.Linear(n, 2)) for n in (64, 16))
    >>> scaling = WidthScaling(wide, base, scaling="mup")
    >>> [(role.name, role.role, role.multiplier, role.rate) for role in scaling.roles if "weight" in role.name]
    [('0.weight', 'input', 1.0, 4.0), ('2.weight', 'output', 0.25, 4.0)]
    """

    def __init__(self, model: nn.Module, base: nn.Module, *, scaling: str = "mup") -> None:
        self.scaling = check_choice(scaling, "scaling", SCALINGS)
        shapes = {name: value.shape for name, value in base.named_parameters()}
        own = dict(model.named_parameters())
        if shapes.keys() != own.keys():
            odd = sorted(shapes.keys() ^ own.keys())
            raise InputError("base", got=f"other parameters ({', '.join(odd[:3])})", expected="the model's own design")
        self.roles = [_role(name, own[name].shape, shapes[name], scaling) for name in own]
        holders = dict(_holders(model))
        for role in self.roles:
            if role.multiplier != 1 and not isinstance(holders[role.name], _LINEAR):
                got = f"{role.name} in a {type(holders[role.name]).__name__}, which needs a multiplier"
                raise InputError("model", got=got, expected="linear or convolutional layers for such weights")
        for role in self.roles:
            self._apply(role, own[role.name], holders[role.name])
        self._parameters = own

    def param_groups(self, learning_rate: float, *, optimizer: str = "sgd") -> list[dict[str, Any]]:
        """Return one parameter group per rate, for an optimiser tuned at the base width.

        ``optimizer`` "sgd" or "adam"; Adam has rules for "mup" and "standard". Raises ``InputError`` for others and
        rates below 0.
        """
        rate = check_real(learning_rate, "learning_rate", low=0)
        check_choice(optimizer, "optimizer", OPTIMIZERS)
        if optimizer == "adam" and self.scaling not in {"mup", "standard"}:
            raise InputError("optimizer", got=f"adam under {self.scaling}", expected="sgd, or mup or standard scaling")
        groups: dict[float, list[nn.Parameter]] = {}
        for role in self.roles:
            factor = role.rate
            if optimizer == "adam":
                factor = 1 / role.fan_in if self.scaling == "mup" and role.role == "hidden" else 1.0
            groups.setdefault(factor, []).append(self._parameters[role.name])
        return [{"params": found, "lr": rate * factor} for factor, found in groups.items()]

    @torch.no_grad()
    def _apply(self, role: WidthRole, value: nn.Parameter, holder: nn.Module) -> None:
        if not isinstance(holder, _LINEAR):
            return  # drawn by a rule of its own, which the width does not enter, or enters rightly
        if value.ndim > 1:
            value.mul_(role.start * role.fan_in**0.5)  # torch drew it at fan_in^-1/2 of the base's scale
            if role.multiplier != 1:
                factor = role.multiplier
                holder.register_forward_pre_hook(lambda _module, inputs: (inputs[0] * factor, *inputs[1:]))
        else:
            stem = role.name.rpartition(".")[0]
            fans = {other.name: other.fan_in for other in self.roles}
            value.mul_(fans[f"{stem}.weight" if stem else "weight"] ** 0.5)  # biases, too, were drawn by fan-in


def _role(name: str, shape: torch.Size, base: torch.Size, scaling: str) -> WidthRole:
    if len(shape) != len(base):
        raise InputError("base", got=f"{name} of shape {tuple(base)}", expected=f"{len(shape)} dimensions")
    fan_out = shape[0] / base[0] if shape else 1.0
    fan_in = shape[1] / base[1] if len(shape) > 1 else 1.0
    if fan_in == fan_out == 1:
        return WidthRole(name, "fixed", 1.0, 1.0, 1.0, 1.0, 1.0)
    role = "input" if fan_in == 1 else "output" if fan_out == 1 else "hidden"
    if role == "hidden" and scaling == "mean-field":
        raise InputError("model", got=f"the hidden matrix {name}", expected="one hidden layer for mean-field scaling")
    multiplier, start, rate = 1.0, fan_in**-0.5, 1.0
    if scaling == "ntk" and role != "input":
        multiplier, start = fan_in**-0.5, 1.0
    elif scaling in {"mup", "mean-field"}:
        rate = fan_out / fan_in
        if role == "output":
            multiplier, start, rate = 1 / fan_in, 1.0, fan_in
    return WidthRole(name, role, fan_in, fan_out, multiplier, start, rate)


def _holders(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for prefix, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            yield (f"{prefix}.{name}" if prefix else name), module
