"""Tensor Programs IV (Yang and Hu, ICML 2021, arXiv 2011.14522): what width does, and networks of infinite width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from spaceform.checks import (
    check_choice,
    check_integer,
    check_labels,
    check_matrix,
    check_real,
    check_rows,
    label_codes,
)
from spaceform.encoders.infinite import linear_maml, word2vec
from spaceform.encoders.infinite.kernel_sgd import KernelSGD
from spaceform.errors import InputError
from spaceform.metrics.movement.kernel_movement import KernelMovement, kernel_movement
from spaceform.nets.scaling.abc_mlp import ABCMLP
from spaceform.nets.scaling.checks import CoordinateCheck, RateTransfer, coordinate_check, rate_transfer
from spaceform.nets.scaling.exponents import ABC
from spaceform.nets.scaling.widths import WidthScaling
from spaceform.ops.kernels.relu import arccos_kernel, relu_gp, relu_ntk
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import as_generator, derive_seed, torch_generator
from spaceform.samplers.task_batches import TaskBatches
from spaceform.types import FloatArray, Progress, RandomState, no_progress

__all__ = [
    "ABC",
    "ABCMLP",
    "AdaptedTask",
    "CoordinateCheck",
    "InfiniteLinearMAML",
    "InfiniteWord2Vec",
    "KernelMovement",
    "KernelSGD",
    "RateTransfer",
    "WidthScaling",
    "arccos_kernel",
    "coordinate_check",
    "kernel_movement",
    "rate_transfer",
    "relu_gp",
    "relu_ntk",
]

TASKS, MOST_WAYS = 32, 5
"""Tasks of a meta-batch, and classes of a task where there are as many (the paper's Omniglot experiment)."""

FLOATS = 2**30
"""Most numbers in the tables of :class:`InfiniteWord2Vec`: 4 GiB; its limit then has 23,000 words."""


@dataclass(frozen=True)
class AdaptedTask:
    """A network that saw the supports of one task; ``classes`` are their labels, sorted."""

    classes: np.ndarray
    net: linear_maml.LinearNet
    supports: torch.Tensor
    targets: torch.Tensor
    rate: float
    steps: int

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Return logits ``(n, K)`` of rows ``X (n, d)``. O(n d width)."""
        rows = check_matrix(X, width=self.supports.shape[1], dtype=np.float32)
        asked = torch.from_numpy(rows)
        done = linear_maml.adapt(
            self.net, self.supports[None], self.targets[None], asked[None], rate=self.rate, steps=self.steps
        )
        logits: FloatArray = done.logits[0].numpy()
        return logits

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the class of each row, one of the labels of the supports."""
        answers: np.ndarray = self.classes[self.decision_function(X).argmax(1)]
        return answers


@final
class InfiniteLinearMAML(TransformerMixin, BaseEstimator):
    """Few-shot learner: first-order MAML of a linear network with one hidden layer of infinite width, computed exactly.

    ``f(x) = V (U x + alpha b)``. In muP the limit needs d + K coordinates: U starts as ``[sigma_u I; 0]``, V as ``[0,
    sigma_v I]``, and SGD on them is SGD on the network of infinite width. What it learns is U, a space in which a few
    examples suffice; kernel limits leave it where it was.

    Parameters
    ----------
    n_way : classes K of a task; None takes five, or all classes with rows enough.
    n_shot : supports of each class.
    sigma_u, sigma_v : initial scale of U and V (defaults: the paper's for the limit).
    bias_alpha : factor of the hidden bias.
    inner_rate : learning rate of the one adapting step in training, and of ``adapt``.
    meta_rate : learning rate of the outer SGD.
    clip : global norm to which the outer gradient, *summed* over the 32 tasks of a step, is cut.
    steps : outer steps (the paper: 10,000).
    width : None for the limit, or the units of a network drawn at that width.
    scaling : "mup"; "ntk" or "standard" (rate eta / n), which need a width; "frozen": only V is trained.
    random_state : seed of tasks and weights.

    Attributes
    ----------
    net_ : the trained network. n_way_ : K. losses_ : (steps,) loss of the queries. classes_, n_features_in_.

    Raises
    ------
    InputError : NaN, fewer than two classes with ``n_shot + 1`` rows, NTK or standard scaling at infinite width,
    and tasks of another K in ``adapt``.

    Notes
    -----
    O(steps 32 K (n_shot + 1) d width), memory O(d width). The last weights are kept; the paper keeps the best epoch on
    validation tasks. float32. X should be of a scale near the paper's pixels in [0, 1]: rates are for such rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 20
    >>> X = rng.normal(size=(20, 8))[y] + 0.3 * rng.normal(size=(200, 8))
    >>> model = InfiniteLinearMAML(steps=50, random_state=0).fit(X, y)
    >>> model.adapt(X[:5], y[:5]).predict(X[20:25]).tolist(), model.transform(X).shape
    ([0, 1, 2, 3, 4], (200, 13))
    """

    def __init__(
        self,
        *,
        n_way: int | None = None,
        n_shot: int = 1,
        sigma_u: float = 1.0,
        sigma_v: float = 1 / 32,
        bias_alpha: float = 1.0,
        inner_rate: float = 0.4,
        meta_rate: float = 0.1,
        clip: float = 0.5,
        steps: int = 1500,
        width: int | None = None,
        scaling: str = "mup",
        random_state: RandomState = None,
    ) -> None:
        self.n_way = n_way
        self.n_shot = n_shot
        self.sigma_u = sigma_u
        self.sigma_v = sigma_v
        self.bias_alpha = bias_alpha
        self.inner_rate = inner_rate
        self.meta_rate = meta_rate
        self.clip = clip
        self.steps = steps
        self.width = width
        self.scaling = scaling
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, progress: Progress = no_progress) -> Self:
        """Train on tasks drawn from rows ``X (n, d)`` with labels ``y (n,)`` (integer -1: never drawn)."""
        rows = check_rows(self, X, fitting=True, min_rows=2)
        if y is None:
            raise InputError("y", got="None: requires y to be passed, but the target y is None", expected="labels")
        self.classes_, codes = label_codes(check_labels(y, len(rows)))
        shots = check_integer(self.n_shot, "n_shot", low=1)
        enough = int((np.bincount(codes[codes >= 0], minlength=1) > shots).sum())
        if enough < 2:
            got = f"{enough} class(es) with {shots + 1} rows"
            raise InputError("y", got=got, expected="at least 2 such classes")
        self.n_way_ = min(MOST_WAYS, enough) if self.n_way is None else check_integer(self.n_way, "n_way", low=2)
        rate = check_real(self.inner_rate, "inner_rate", low=0)
        meta_rate = check_real(self.meta_rate, "meta_rate", low=0)
        clip = check_real(self.clip, "clip", low=0, open_ends=True)
        steps = check_integer(self.steps, "steps", low=0)
        seed = int(as_generator(self.random_state).integers(2**31))
        tasks = TaskBatches(codes, n_way=self.n_way_, n_shot=shots, n_tasks=TASKS, seed=derive_seed(seed, "tasks"))
        self.net_ = self._new_net(rows.shape[1], derive_seed(seed, "weights"))
        items = _as_tensor(rows)
        one_hot = torch.eye(self.n_way_)
        Ys, Yq = (part.expand(TASKS, -1, -1) for part in (one_hot.repeat_interleave(shots, 0), one_hot))
        losses = []
        for step in range(steps):
            batch = tasks(step)
            Xs, Xq = (items[torch.from_numpy(part.reshape(TASKS, -1))] for part in (batch.support, batch.query))
            adapted = linear_maml.adapt(self.net_, Xs, Ys, Xq, rate=rate, steps=1)
            losses.append(linear_maml.outer_step(self.net_, adapted, Xq, Yq, rate=meta_rate, clip=clip))
            if not np.isfinite(losses[-1]):
                raise InputError("X", got="a loss that is not finite", expected="rows near unit scale, smaller rates")
            if step % 50 == 0 or step + 1 == steps:
                progress("meta-training", step + 1, steps, {"loss": losses[-1]})
        self.losses_ = np.array(losses)
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return hidden rows ``U x + alpha b`` ``(n, d + K)``, or ``(n, width)``, float32."""
        rows = check_rows(self, X, fitting=False)
        hidden: FloatArray = self.net_.hidden(_as_tensor(rows)).numpy()
        return hidden

    def adapt(self, X: ArrayLike, y: ArrayLike, *, steps: int = 20) -> AdaptedTask:
        """Return what answers for a new task after ``steps`` on its supports ``X (m, d)`` of exactly K classes.

        Nothing in this object changes. Class c of the task (by sorted label) takes output c.
        """
        check_is_fitted(self, "net_")
        supports = _as_tensor(check_rows(self, X, fitting=False))
        classes, codes = np.unique(check_labels(y, len(supports)), return_inverse=True)
        if len(classes) != self.n_way_:
            raise InputError("y", got=f"{len(classes)} classes", expected=f"{self.n_way_}, as the net was trained for")
        targets = torch.eye(self.n_way_)[torch.from_numpy(codes)]
        steps = check_integer(steps, "steps", low=0)
        return AdaptedTask(classes, self.net_, supports, targets, float(self.inner_rate), steps)

    def sample(self, width: int, *, random_state: RandomState = None) -> linear_maml.LinearNet:
        """Return a network of finite width drawn from the trained limit: ``n^-1/2 omega U``, ``n^-1/2 V omega^T``."""
        check_is_fitted(self, "net_")
        if self.width is not None or self.scaling not in {"mup", "frozen"}:
            raise InputError("width", got=self.width, expected="None: only the limit can be sampled")
        generator = torch_generator(int(as_generator(random_state).integers(2**31)))
        omega = torch.randn(check_integer(width, "width", low=1), len(self.net_.U), generator=generator)
        return linear_maml.sample_net(self.net_, omega, scaling=self.scaling)

    def _new_net(self, d: int, seed: int) -> linear_maml.LinearNet:
        check_choice(self.scaling, "scaling", linear_maml.SCALINGS)
        limit = linear_maml.limit_net(
            d,
            self.n_way_,
            sigma_u=check_real(self.sigma_u, "sigma_u", low=0),
            sigma_v=check_real(self.sigma_v, "sigma_v", low=0),
            alpha=check_real(self.bias_alpha, "bias_alpha", low=0),
        )
        if self.width is None:
            if self.scaling not in {"mup", "frozen"}:
                remedy = "its limit is a linear kernel: take scaling='frozen'"
                raise InputError("width", got=None, expected=f"a number of units for {self.scaling}", remedy=remedy)
            limit.speed_u = float(self.scaling == "mup")
            return limit
        omega = torch.randn(check_integer(self.width, "width", low=1), d + self.n_way_, generator=torch_generator(seed))
        return linear_maml.sample_net(limit, omega, scaling=self.scaling)

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed and vectors come out as float32."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _as_tensor(rows: FloatArray) -> torch.Tensor:
    """Return rows as float32 in one layout: products of another would round otherwise."""
    return torch.from_numpy(np.array(rows, dtype=np.float32, order="C"))


@final
class InfiniteWord2Vec:
    """Word vectors by CBOW with negative sampling, at infinite width under muP or at a finite one.

    A word is predicted from the mean of its neighbours' rows of U; ``-log sigma(V_t h) - sum_k log sigma(-V_k h)``. At
    infinite width U starts as the identity of |V| words and V as 0, and plain SGD on these is exact.

    Parameters
    ----------
    vocab_size : most words, the most frequent; None keeps all that occur ``min_count`` times.
    min_count : rarer words are left out.
    window : neighbours to each side, shrunk at random to 1..window.
    negative : random words to tell from the target.
    subsample : threshold t of frequent words' dropping, None keeps all.
    learning_rate : of the updates, summed over a batch, falling linearly to 1e-4 of itself.
    weight_decay : of touched rows.
    batch_size, epochs : of the passes.
    width : None for the limit, or the columns of both tables.
    moving : whether U is trained; if not it is the kernel limit, whose vectors stay random.
    random_state : seed of weights and draws.

    Attributes
    ----------
    vectors_ : (|V|, n) the rows of U. outputs_ : those of V. words_ : list of |V| words. counts_.

    Raises
    ------
    InputError : text instead of tokens, fewer than two words, no two words side by side, and tables of more than 2^30
    numbers (the limit has 2 |V|^2).

    Notes
    -----
    Batches make it deterministic; the original program's threads race. It also cuts scores at +-12, which changes
    gradients; this does not. O(batch_size (2 window + negative) n) a step.

    Examples
    --------
    >>> corpus = [["a", "cat", "sat"], ["a", "dog", "sat"], ["a", "cat", "ran"], ["a", "dog", "ran"]] * 20
    >>> model = InfiniteWord2Vec(window=2, negative=2, learning_rate=0.2, epochs=20, random_state=0).fit(corpus)
    >>> model.closeness("cat", "dog") > model.closeness("cat", "sat")
    True
    """

    def __init__(
        self,
        *,
        vocab_size: int | None = None,
        min_count: int = 5,
        window: int = 5,
        negative: int = 10,
        subsample: float | None = None,
        learning_rate: float = 0.05,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        epochs: int = 5,
        width: int | None = None,
        moving: bool = True,
        random_state: RandomState = None,
    ) -> None:
        self.vocab_size = vocab_size
        self.min_count = min_count
        self.window = window
        self.negative = negative
        self.subsample = subsample
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.width = width
        self.moving = moving
        self.random_state = random_state

    def fit(self, corpus: Sequence[Sequence[int | str]], *, progress: Progress = no_progress) -> Self:
        """Train on sentences, each a list of tokens (words or numbers)."""
        if self.vocab_size is not None:
            check_integer(self.vocab_size, "vocab_size", low=2)
        rate = check_real(self.learning_rate, "learning_rate", low=0)
        decay = check_real(self.weight_decay, "weight_decay", low=0)
        limit = check_integer(self.min_count, "min_count", low=1)
        tokens = word2vec.read_tokens(corpus, min_count=limit, vocab_size=self.vocab_size)
        size = len(tokens.words)
        columns = size if self.width is None else check_integer(self.width, "width", low=1)
        if 2 * size * columns > FLOATS:
            got = f"{size:,} words, tables of {2 * size * columns:,} numbers"
            raise InputError("vocab_size", got=got, expected=f"at most {FLOATS:,}", remedy="set vocab_size or a width")
        seed = int(as_generator(self.random_state).integers(2**31))
        U, V = word2vec.start_tables(size, self.width, seed=derive_seed(seed, "weights"))
        batches = word2vec.draw_batches(
            tokens,
            window=check_integer(self.window, "window", low=1),
            negative=check_integer(self.negative, "negative", low=1),
            subsample=None
            if self.subsample is None
            else check_real(self.subsample, "subsample", low=0, open_ends=True),
            batch_size=check_integer(self.batch_size, "batch_size", low=1),
            epochs=check_integer(self.epochs, "epochs", low=1),
            seed=derive_seed(seed, "draws"),
        )
        for step, (done, batch) in enumerate(batches):
            now = rate * max(1 - done, 1e-4)
            word2vec.sgd_step(U, V, batch, rate=now, decay=decay, moving=self.moving)
            if step % 200 == 0:
                progress("word vectors", round(1000 * done), 1000)
        if not (torch.isfinite(U).all() and torch.isfinite(V).all()):
            raise InputError("learning_rate", got=rate, expected="a smaller rate: the vectors are not finite")
        self.vectors_, self.outputs_ = U.numpy(), V.numpy()
        self.words_, self.counts_ = tokens.words, tokens.counts
        self._places = {word: place for place, word in enumerate(tokens.words)}
        return self

    def closeness(self, first: int | str, second: int | str) -> float:
        """Return the cosine of two words. Raises ``InputError`` for an unknown word."""
        a, b = (self.vectors_[self._place(word)].astype(np.float64) for word in (first, second))
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    def analogy(self, a: int | str, b: int | str, c: int | str, *, k: int = 1) -> list[tuple[str, float]]:
        """Return the ``k`` words that are to c what b is to a: those nearest to ``b - a + c`` of unit rows (3CosAdd).

        The three are left out. Raises ``InputError`` for unknown words and too large ``k``. O(|V| n).
        """
        places = [self._place(word) for word in (a, b, c)]
        k = check_integer(k, "k", low=1, high=len(self.words_) - len(set(places)))
        unit = l2_normalize(self.vectors_)
        asked = unit[places[1]] - unit[places[0]] + unit[places[2]]
        closeness, found = nearest_neighbors(l2_normalize(asked[None]), unit, k=k + len(set(places)))
        pairs = zip(found[0].tolist(), closeness[0].tolist(), strict=True)
        return [(self.words_[place], value) for place, value in pairs if place not in places][:k]

    def _place(self, word: int | str) -> int:
        if not hasattr(self, "vectors_"):
            raise InputError("self", got="a model that was not fitted", expected="fit first")
        if str(word) not in self._places:
            raise InputError("word", got=repr(word), expected=f"one of the {len(self.words_)} words of the vocabulary")
        return self._places[str(word)]
