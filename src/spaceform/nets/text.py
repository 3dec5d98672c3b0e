"""Sentence encoder: a transformers model from a folder, mean-pooled over tokens and scaled to unit length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spaceform.checks import check_integer, require
from spaceform.data import models
from spaceform.errors import InputError
from spaceform.types import FloatArray, PathLike, Progress, no_progress


class TextEncoder:
    """Turns texts into unit vectors with a pretrained transformer (mean of the last hidden states over real tokens).

    Parameters: ``model`` is ``"minilm"`` (all-MiniLM-L6-v2, 384-d, English; fetched once and then offline) or a
    folder with a ``transformers`` model and tokenizer; ``max_tokens`` cuts longer texts (256 as MiniLM was
    published). Attributes: ``dim`` and ``fingerprint`` (of the weights' file sizes and configuration).

    Raises ``InputError`` for a folder without a model, ``MissingExtraError`` without transformers. Nothing is ever
    fetched from a model hub. Cost: one forward pass a text; sorted by length so that little is padding.
    """

    def __init__(self, model: PathLike = "minilm", *, max_tokens: int = 256) -> None:
        transformers = require("transformers", "text")
        self.max_tokens = check_integer(max_tokens, "max_tokens", low=1)
        self.name = str(model)
        folder = models.folder("minilm") if self.name == "minilm" else Path(model)
        if not (folder / "config.json").is_file():
            raise InputError("model", got=str(folder), expected="'minilm' or a folder with a transformers model")
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.dim = int(self._model.config.hidden_size)
        self.fingerprint = _fingerprint(folder, max_tokens)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], *, batch_size: int = 64, progress: Progress = no_progress) -> FloatArray:
        """Return unit vectors ``(n, dim)`` float32 for ``n`` texts. Raises ``InputError`` for none or non-text."""
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for rows, states, mask, _ in self._batches(texts, batch_size, progress):
            means = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors[rows] = torch.nn.functional.normalize(means, dim=1).numpy()
        return vectors

    @torch.inference_mode()
    def encode_tokens(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: Progress = no_progress
    ) -> list[FloatArray]:
        """Return a unit vector for each token of each text: ``(tokens, dim)`` float32, without the added marks.

        A text without tokens keeps the vectors of its marks. Raises ``InputError`` for none or non-text.
        """
        found: list[FloatArray] = [np.empty((0, self.dim), dtype=np.float32)] * len(texts)
        for rows, states, mask, marks in self._batches(texts, batch_size, progress):
            units = torch.nn.functional.normalize(states, dim=2).numpy()
            real = mask[:, :, 0].numpy() > 0
            for row, text, own, added in zip(rows, units, real, marks.numpy() > 0, strict=True):
                kept = own & ~added
                found[row] = text[kept if kept.any() else own]
        return found

    def _batches(
        self, texts: Sequence[str], batch_size: int, progress: Progress
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield row numbers, last hidden states, their mask ``(b, tokens, 1)`` and which tokens are added marks."""
        bad = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if bad or len(texts) == 0:
            raise InputError("texts", got=f"{len(texts)} items, item {bad[:1]} not text", expected="one or more texts")
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens = self._tokenizer(
                [texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
                return_special_tokens_mask=True,
            )
            marks = tokens.pop("special_tokens_mask")
            states = self._model(**tokens).last_hidden_state
            yield rows, states, tokens["attention_mask"].unsqueeze(-1).to(states.dtype), marks
            progress("embedding texts", min(start + batch_size, len(order)), len(order))

    def save(self, folder: Path) -> None:
        """Write which model this is; its weights stay where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        record = {"kind": "text", "model": self.name, "max_tokens": self.max_tokens, "fingerprint": self.fingerprint}
        (folder / "encoder.json").write_text(json.dumps(record))

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """Return the encoder that :meth:`save` described. Raises ``InputError`` when its model has changed."""
        record: dict[str, Any] = json.loads((folder / "encoder.json").read_text())
        encoder = cls(record["model"], max_tokens=record["max_tokens"])
        if encoder.fingerprint != record["fingerprint"]:
            raise InputError("encoder", got=encoder.fingerprint, expected=record["fingerprint"], remedy="build again")
        return encoder


def _fingerprint(folder: Path, max_tokens: int) -> str:
    digest = hashlib.sha256(str(max_tokens).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode())
            if path.suffix == ".json":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
