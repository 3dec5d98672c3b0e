"""The tables of the tabular NCD claim: which classes are novel, how rows are split, and the published settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spaceform.data import load
from spaceform.data.dataset import Dataset
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, FloatArray, IntArray, Progress

CENSUS_ROWS = 1000
"""Rows kept per class of the census in either part (section 5 of the paper); it has 2,458,285."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Settings of PBN: learning rate, loss weight w, dropout, latent width."""

    learning_rate: float
    loss_weight: float
    dropout: float
    latent_dim: int


@dataclass(frozen=True, kw_only=True)
class Published:
    """The best settings published for one table: number of novel classes given, estimated, and without decoder."""

    given: Setting
    estimated: Setting
    baseline: Setting


@dataclass(frozen=True, kw_only=True)
class Table:
    """One data set: ``data`` names it for ``spaceform.data.load``; ``novel`` lists its novel classes by name.

    ``test_share`` of the rows is held out at random, None follows the set's own split.
    """

    data: str
    novel: tuple[str, ...]
    test_share: float | None
    published: Published
    batch_size: int = 512
    standardize: bool = True


@dataclass(frozen=True, kw_only=True)
class Task:
    """Rows of a table, cut for one seed: ``truth`` of all rows, ``y`` with novel classes at -1."""

    X: FloatArray
    truth: IntArray
    y: IntArray
    train: IntArray
    test: IntArray

    @property
    def n_novel(self) -> int:
        """The true number of novel classes."""
        return len(np.unique(self.truth[self.y < 0]))

    @property
    def novel_test(self) -> IntArray:
        """Test rows of novel classes: what every arm is scored on."""
        return self.test[self.y[self.test] < 0]


def _setting(learning_rate: float, loss_weight: float, dropout: float, latent_dim: int) -> Setting:
    return Setting(learning_rate=learning_rate, loss_weight=loss_weight, dropout=dropout, latent_dim=latent_dim)


_LETTERS = ("A", "D", "H", "M", "P", "V", "X")
_LETTER = Published(
    given=_setting(6.142e-3, 0.8605, 0.0808, 13),
    estimated=_setting(5.889e-4, 0.7224, 0.02746, 22),
    baseline=_setting(5.706e-3, 1.0, 0.2892, 12),
)
_OPTDIGITS = Published(
    given=_setting(8.756e-4, 0.0637, 0.08648, 58),
    estimated=_setting(3.646e-4, 0.1892, 0.06607, 53),
    baseline=_setting(2.156e-3, 1.0, 0.3774, 21),
)
_PLANTED = _setting(5e-3, 0.9, 0.05, 8)

TABLES = {
    "planted": Table(
        data="planted",
        novel=("12", "13", "14", "15"),
        test_share=0.3,
        published=Published(given=_PLANTED, estimated=_PLANTED, baseline=replace(_PLANTED, loss_weight=1.0)),
        batch_size=64,
    ),
    "letter": Table(data="letter", novel=_LETTERS, test_share=0.3, published=_LETTER),
    "digits": Table(data="digits", novel=("0", "3", "4", "5", "6"), test_share=0.3, published=_OPTDIGITS),
    "uci-letter": Table(data="uci-letter", novel=_LETTERS, test_share=0.3, published=_LETTER),
    "uci-optdigits": Table(
        data="uci-optdigits", novel=("0", "3", "4", "5", "6"), test_share=None, published=_OPTDIGITS
    ),
    "uci-pendigits": Table(
        data="uci-pendigits",
        novel=("0", "3", "5", "6", "7"),
        test_share=None,
        published=Published(
            given=_setting(2.84e-3, 0.4606, 0.02538, 11),
            estimated=_setting(1.077e-3, 0.1067, 0.01126, 12),
            baseline=_setting(2.394e-4, 1.0, 0.002577, 12),
        ),
    ),
    "uci-mfeat": Table(
        data="uci-mfeat",
        novel=("1", "3", "6", "7", "9"),
        test_share=0.2,
        published=Published(
            given=_setting(2.768e-4, 0.4283, 0.1264, 123),
            estimated=_setting(4.675e-3, 0.6703, 0.2393, 172),
            baseline=_setting(1.265e-4, 1.0, 0.05414, 44),
        ),
    ),
    "uci-har": Table(
        data="uci-har",
        novel=("LAYING", "WALKING", "WALKING_DOWNSTAIRS"),
        test_share=None,
        published=Published(
            given=_setting(1.387e-4, 0.8814, 0.5526, 276),
            estimated=_setting(1.014e-4, 0.4671, 0.5098, 504),
            baseline=_setting(3.621e-4, 1.0, 0.08963, 219),
        ),
    ),
    "uci-cnae9": Table(
        data="uci-cnae9",
        novel=("1", "2", "3", "6", "9"),
        test_share=0.2,
        published=Published(
            given=_setting(4.836e-3, 0.9006, 0.01101, 768),
            estimated=_setting(4.4e-3, 0.6982, 0.08132, 579),
            baseline=_setting(1.012e-4, 1.0, 0.005649, 45),
        ),
        standardize=False,
    ),
    "uci-uscensus": Table(
        data="uci-uscensus",
        novel=("0", "3", "5", "11", "12", "15"),
        test_share=0.3,
        published=Published(
            given=_setting(4.95e-4, 0.9715, 0.138, 28),
            estimated=_setting(2.112e-3, 0.9609, 0.1678, 13),
            baseline=_setting(1.606e-3, 1.0, 0.462, 29),
        ),
    ),
}
"""Classes, shares and settings are those of the authors' ``dataset_utils.py`` and ``hyperparameters.json``, save for
"planted" (below) and "digits" (the test part of Optdigits, split at random)."""


def make_task(name: str, seed: int, root: Path | None, progress: Progress) -> Task:
    """Load a table (benchmarks from ``root`` or its subfolder of the table's name) and cut it for ``seed``.

    Columns that are constant in the training rows are dropped. Raises ``InputError`` for an unknown table and when
    a novel class is missing from either part.
    """
    if name not in TABLES:
        raise InputError("tables", got=repr(name), expected="one of " + ", ".join(TABLES))
    table = TABLES[name]
    data = planted(seed) if name == "planted" else _read(table, root, progress)
    novel = np.isin(np.array(data.classes)[data.y], table.novel)
    train, test = _split(table, data, seed)
    for part in (train, test):
        missing = set(table.novel) - set(np.array(data.classes)[data.y[part]])
        if missing:
            raise InputError(name, got=f"no row of {sorted(missing)}", expected="rows of every novel class")
    rows = _columns(data).astype(np.float64)
    varied = rows[train].std(0) > 0
    X = rows[:, varied]
    if table.standardize:
        X = (X - X[train].mean(0)) / X[train].std(0)
    return Task(X=X, truth=data.y, y=np.where(novel, -1, data.y), train=train, test=test)


def planted(seed: int, *, rows: int = 40) -> Dataset:
    """Return 16 classes of ``rows`` rows in 4 columns, beside 20 columns of coin tosses that mislead k-means.

    Knowing twelve of the classes tells which columns matter; the four novel ones (12 to 15) lie in the same columns.
    """
    rng = np.random.default_rng(derive_seed(seed, "planted"))
    y = rng.permutation(np.repeat(np.arange(16), rows))
    signal = 1.5 * rng.normal(size=(16, 4))[y] + 0.4 * rng.normal(size=(len(y), 4))
    tosses = 1.5 * rng.choice([-1, 1], size=(len(y), 20)) + 0.3 * rng.normal(size=(len(y), 20))
    names = [str(label) for label in range(16)]
    return Dataset("planted", np.concatenate([signal, tosses], 1), y, names, {}, "none", "drawn for the test")


def _read(table: Table, root: Path | None, progress: Progress) -> Dataset:
    if not table.data.startswith("uci-"):
        return load(table.data, progress=progress)
    if root is None:
        raise InputError("root", got="None", expected=f"the folder with {table.data}", remedy="pass --root FOLDER")
    inside = root / table.data.removeprefix("uci-")
    folder = inside if inside.is_dir() else root
    if table.data == "uci-uscensus":
        return load(table.data, root=folder, progress=progress, max_per_class=4 * CENSUS_ROWS)
    return load(table.data, root=folder, progress=progress)


def _columns(data: Dataset) -> FloatArray:
    """Return the features; those of HAR hold the person, too, as in the authors' preparation."""
    if data.name == "uci-har":
        return np.column_stack([data.X, data.attributes["subject"]])
    return np.asarray(data.X)


def _split(table: Table, data: Dataset, seed: int) -> tuple[IntArray, IntArray]:
    if table.test_share is None:
        held: BoolArray = np.asarray(data.attributes["split"]) == "test"
        return np.flatnonzero(~held), np.flatnonzero(held)
    order = np.random.default_rng(derive_seed(seed, "split")).permutation(len(data))
    cut = round((1 - table.test_share) * len(data))
    parts = order[:cut], order[cut:]
    if table.data != "uci-uscensus":
        return parts
    capped = [
        np.concatenate([part[data.y[part] == label][:CENSUS_ROWS] for label in range(len(data.classes))])
        for part in parts
    ]
    return capped[0], capped[1]
