"""Trainings that the class-separability claim watches: a perceptron on digits, a text encoder from a folder.

Texts: ``<root>/encoder/`` holds a transformers model with its tokenizer; ``train.tsv``, ``unlabelled.tsv`` and
``test.tsv`` beside it have lines ``label<TAB>text``. The labels of the unlabelled file serve the oracle only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform import data
from spaceform.checks import require
from spaceform.claims.context import Context
from spaceform.errors import InputError
from spaceform.nets.mlp import mlp
from spaceform.rng import derive_seed
from spaceform.training.loop import train
from spaceform.types import FloatArray, IntArray

FILES = ("train.tsv", "unlabelled.tsv", "test.tsv")
LAYOUT = "encoder/ (a transformers model and tokenizer) and " + ", ".join(FILES) + " of label<TAB>text"


@dataclass
class Epochs:
    """What was seen after every epoch: embeddings (n, d) of the watched rows, accuracy on test and validation rows."""

    n_classes: int
    embeddings: list[FloatArray] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """Rows for the network (any batchable input), their labels, and which of them play which part."""

    take: Callable[[IntArray], Any]
    y: torch.Tensor
    train: IntArray
    watched: IntArray
    test: IntArray
    n_classes: int


def train_on_digits(seed: int, settings: Mapping[str, Any], context: Context, *, layer_norm: bool) -> Epochs:
    """Train a perceptron with or without a normalising layer before its linear classifier."""
    digits = data.load(settings["data"], progress=context.progress)
    X = torch.tensor(digits.X / digits.X.max(), dtype=torch.float32)
    order = np.random.default_rng(derive_seed(seed, "split")).permutation(len(X))
    first, second = settings["train_rows"], settings["train_rows"] + settings["watched_rows"]
    task = _Task(
        take=lambda rows: X[torch.from_numpy(rows)],
        y=torch.from_numpy(digits.y),
        train=order[:first],
        watched=order[first:second],
        test=order[second:],
        n_classes=len(digits.classes),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        body = mlp([X.shape[1], *settings["widths"]], norm=None)
        network = _Classifier(body, settings["widths"][-1], task.n_classes, layer_norm=layer_norm)
    return _watch(network, task, settings, seed, context)


def train_on_texts(seed: int, settings: Mapping[str, Any], context: Context, *, layer_norm: bool) -> Epochs:
    """Fine-tune the text encoder in the benchmark folder, with or without a normalising layer after mean pooling."""
    transformers = require("transformers", "text")
    root = context.benchmark_root(LAYOUT)
    parts = [_read(root / name) for name in FILES]
    names = sorted({label for label, _ in parts[0]})
    unknown = sorted({label for part in parts for label, _ in part} - set(names))
    if unknown:
        raise InputError("root", got=f"labels {unknown[:3]} outside {FILES[0]}", expected="labels of the training file")
    parts[1] = parts[1][: settings["watched_rows"]]
    tokenizer = transformers.AutoTokenizer.from_pretrained(root / "encoder", local_files_only=True)
    tokens = tokenizer(
        [text for part in parts for _, text in part],
        padding=True,
        truncation=True,
        max_length=settings["max_tokens"],
        return_tensors="pt",
    )
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    ends = np.cumsum([len(part) for part in parts])
    task = _Task(
        take=lambda rows: (ids[torch.from_numpy(rows)], mask[torch.from_numpy(rows)]),
        y=torch.tensor([names.index(label) for part in parts for label, _ in part]),
        train=np.arange(ends[0]),
        watched=np.arange(ends[0], ends[1]),
        test=np.arange(ends[1], ends[2]),
        n_classes=len(names),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        encoder = transformers.AutoModel.from_pretrained(root / "encoder", local_files_only=True)
        body = _MeanPooled(encoder)
        network = _Classifier(body, int(encoder.config.hidden_size), task.n_classes, layer_norm=layer_norm)
    return _watch(network, task, settings, seed, context)


class _Classifier(nn.Module):
    """Body, perhaps a normalising layer, and a linear classifier; ``embed`` gives what the monitors see."""

    def __init__(self, body: nn.Module, width: int, n_classes: int, *, layer_norm: bool) -> None:
        super().__init__()
        self.body = body
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.head = nn.Linear(width, n_classes)

    def embed(self, batch: Any) -> torch.Tensor:
        embeddings: torch.Tensor = self.norm(self.body(batch))
        return embeddings

    def forward(self, batch: Any) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embed(batch))
        return logits


class _MeanPooled(nn.Module):
    """Mean of the last hidden states over real tokens."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        ids, mask = batch
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        pooled: torch.Tensor = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return pooled


def _watch(network: _Classifier, task: _Task, settings: Mapping[str, Any], seed: int, context: Context) -> Epochs:
    """Train for all epochs with Adam and record each; one epoch is one pass over shuffled training rows."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    size, n = settings["batch_size"], len(task.train)
    per_epoch = -(-n // size)
    seen = Epochs(task.n_classes)
    validation = task.watched[: settings["validation_rows"]]

    def batches(step: int) -> IntArray:
        epoch, part = divmod(step, per_epoch)
        order = np.random.default_rng(derive_seed(seed, "epoch", epoch)).permutation(n)
        return task.train[order[part * size : (part + 1) * size]]

    def loss_step(rows: IntArray) -> tuple[torch.Tensor, dict[str, float]]:
        logits = network(_to(task.take(rows), device))
        return nn.functional.cross_entropy(logits, task.y[torch.from_numpy(rows)].to(device)), {}

    @torch.no_grad()
    def over(rows: IntArray, function: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        blocks = [rows[i : i + 512] for i in range(0, len(rows), 512)]
        return torch.cat([function(_to(task.take(block), device)).cpu() for block in blocks])

    def record(step: int, figures: Mapping[str, float]) -> str | None:
        if step % per_epoch == 0:
            network.eval()
            seen.embeddings.append(over(task.watched, network.embed).numpy())
            for rows, into in ((task.test, seen.accuracy), (validation, seen.validation)):
                right = over(rows, network).argmax(1) == task.y[torch.from_numpy(rows)]
                into.append(float(right.float().mean()))
            network.train()
        return None

    train(
        network,
        loss_step,
        batches,
        steps=settings["epochs"] * per_epoch,
        optimizer=torch.optim.Adam(network.parameters(), lr=settings["learning_rate"]),
        callbacks=[record],
        seed=derive_seed(seed, "training"),
        progress=context.progress,
    )
    return seen


def _to(batch: Any, device: torch.device) -> Any:
    return tuple(part.to(device) for part in batch) if isinstance(batch, tuple) else batch.to(device)


def _read(path: Path) -> Sequence[tuple[str, str]]:
    """Read lines ``label<TAB>text``; empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("root", got=f"{path} ({error})", expected=f"a folder with {LAYOUT}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            label, tab, text = line.partition("\t")
            if not tab or not label.strip() or not text.strip():
                raise InputError("root", got=f"{path.name} line {number}: {line[:40]!r}", expected="label<TAB>text")
            rows.append((label.strip(), text.strip()))
    if len(rows) < 3:
        raise InputError("root", got=f"{len(rows)} lines in {path.name}", expected="at least 3")
    return rows
