"""Encoders that count letters, slowly, wrongly, or until they are killed; workers import them by name."""

import os
import signal
import time
from pathlib import Path

import numpy as np


class Letters:
    """Three figures of a text; the rows of a batch come back in another order."""

    fingerprint = "letters"

    def setup(self):
        self.ready = True

    def __call__(self, batch):
        assert self.ready
        vectors = np.array([[len(text), text.count("a"), 1] for text in batch["text"]], dtype=np.float32)
        vectors[[text == "odd" for text in batch["text"]]] = np.nan
        back = np.arange(len(vectors))[::-1]
        return {"id": batch["id"][back], "embedding": vectors[back]}


class Slow(Letters):
    """Takes its time."""

    def __call__(self, batch):
        time.sleep(0.02)
        return super().__call__(batch)


class Once(Letters):
    """Fails in the first batch that holds a text, and never again: a file remembers."""

    def __init__(self, flag, text, kill=False):
        self.flag, self.text, self.kill = str(flag), text, kill

    def __call__(self, batch):
        if self.text in batch["text"].tolist() and not Path(self.flag).exists():
            Path(self.flag).touch()
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("boom")
        return super().__call__(batch)


class Wrong(Letters):
    """Gives whatever it was told to."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, batch):
        return self.answer(super().__call__(batch))


def slow_job(source, out):
    """Embed in a process of its own, to be killed."""
    from spaceform.workflows.embed import embed
    from spaceform.workflows.embedding.job import Reading

    embed(source, out, Slow(), batch_size=4, reading=Reading(rows_per_unit=8), space=False)


class Items:
    """What ``package.module:function`` returns: an encoder of ours."""

    fingerprint = "items"
    dim = 2

    def encode(self, items, *, batch_size=64, progress=None):
        if isinstance(items, list):
            return np.array([[len(text), 1] for text in items], dtype=np.float64)
        flat = np.asarray(items, dtype=np.float64).reshape(len(items), -1)
        return np.stack([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def items():
    """Return an encoder."""
    return Items()
