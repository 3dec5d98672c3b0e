"""Rows and frozen tasks of the claims: blobs, small digits (smoke), letters, MNIST (laptop), CIFAR-100 (paper)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform import data
from spaceform.claims.context import Context
from spaceform.data.protocols import ClassIncremental, draw_class_incremental
from spaceform.errors import InputError
from spaceform.nets.mlp import mlp
from spaceform.nets.named import HIDDEN, named_net
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.rng import derive_seed
from spaceform.types import IntArray

DATA = "blobs, small-digits, letter, mnist-5k, cifar-100"


@dataclass(frozen=True)
class Tasks:
    """Rows ``X``, labels ``y``, and their frozen stream."""

    X: np.ndarray
    y: IntArray
    stream: ClassIncremental


def make_tasks(settings: Mapping[str, Any], seed: int, context: Context) -> Tasks:
    """Return the tasks of one seed: ``settings`` name data, rows (or None), base, step, test, validation."""
    X, y = _read(settings["data"], seed, context)
    if settings["rows"] is not None and settings["rows"] < len(y):
        chosen = np.random.default_rng(derive_seed(seed, "rows")).permutation(len(y))[: settings["rows"]]
        X, y = X[chosen], y[chosen]
    stream = draw_class_incremental(
        y,
        n_base=settings["base"],
        n_step=settings["step"],
        test=settings["test"],
        validation=settings["validation"],
        seed=seed,
    )
    return Tasks(X, y, stream)


def _read(name: str, seed: int, context: Context) -> tuple[np.ndarray, IntArray]:
    if name == "blobs":
        return blobs(seed)
    if name == "small-digits":
        found = data.load("digits")
        pictures = found.X.reshape(-1, 8, 8).repeat(2, axis=1).repeat(2, axis=2)
        return np.minimum(pictures * 16, 255).astype(np.uint8), found.y
    if name == "letter":
        found = data.load("letter", progress=context.progress)
        return found.X.astype(np.float32), found.y
    if name == "mnist-5k":
        found = data.load("mnist-5k", progress=context.progress)
        return found.X.astype(np.uint8).reshape(-1, 28, 28), found.y
    if name == "cifar-100":
        found = data.load("cifar-100", root=context.benchmark_root("train.bin and test.bin of cifar-100-binary"))
        return found.X, found.y
    raise InputError("data", got=repr(name), expected=DATA)


def half_size(pictures: np.ndarray) -> np.ndarray:
    """Return pictures ``(n, 28, 28)`` as ``(n, 16, 16)``: means of four pixels, and a dark edge."""
    small = pictures.reshape(len(pictures), 14, 2, 14, 2).mean((2, 4))
    return np.pad(small.round().astype(np.uint8), ((0, 0), (1, 1), (1, 1)))


def blobs(seed: int, *, classes: int = 8, rows: int = 60, width: int = 6) -> tuple[np.ndarray, IntArray]:
    """Return overlapping Gaussian classes ``(classes * rows, width)`` float32 with their labels."""
    rng = np.random.default_rng(derive_seed(seed, "blobs"))
    y = np.repeat(np.arange(classes), rows)
    centers = 1.8 * rng.normal(size=(classes, width))
    return (centers[y] + rng.normal(size=(len(y), width))).astype(np.float32), y


def picture_net(name: str, shape: tuple[int, ...], width: int, *, seed: int) -> nn.Module:
    """Return the network of pictures of ``shape``.

    ``"resnet18"`` has a stem of 3 x 3 (width 512); ``"flat"`` is a perceptron with 256 hidden units on the pixels; the
    others are named ones.
    """
    if name not in {"resnet18", "flat"}:
        return named_net(name, shape, width, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if name == "flat":
            return nn.Sequential(nn.Flatten(), mlp((math.prod(shape), HIDDEN, width), norm=None))
        net = ResNet18(channels=shape[2])
        net.conv1 = nn.Conv2d(shape[2], 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()  # type: ignore[assignment]
    return net
