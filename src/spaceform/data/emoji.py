"""Emoji: 1,911 concepts, each drawn by up to four independent vendors, with names, keywords and a hierarchy.

Class = concept, domain = vendor, text = name and keywords, hierarchy = category > subcategory, mask = alpha channel.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_choice, check_integer, require
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_member, read_members
from spaceform.data.fetching.cache import Arrays, is_remembered, remembered
from spaceform.data.registry import fetch, fetch_all, package
from spaceform.errors import InputError
from spaceform.types import Progress, no_progress


@dataclass(frozen=True)
class _Vendor:
    """Where a vendor's pictures are: ``small`` is the folder of those of 64 px, ``large`` of the largest."""

    package: str
    small: str
    large: str

    def recipe(self, size: int) -> dict[str, object]:
        return {"recipe": _RECIPE, "size": size, "source": package(self.package).sha256}


_RECIPE = 2
_BETWEEN = "\t"  # keywords in the cache; tuples outside
_VENDORS = {
    "google": _Vendor("emoji-google", "package/img/google/64/", "package/img/google/64/"),
    "twitter": _Vendor("emoji-twitter", "package/img/twitter/64/", "package/img/twitter/64/"),
    "fluent": _Vendor("emoji-fluent", "package/assets/", "package/assets/"),
    "emojione": _Vendor("emoji-emojione", "package/png/64/", "package/png/128/"),
}
VENDORS = tuple(_VENDORS)


def load_emoji(*, size: int = 48, vendors: Sequence[str] | None = None, progress: Progress = no_progress) -> Dataset:
    """Return X (7155, size, size, 4) uint8 RGBA with straight alpha; y = concept, in Unicode's order of emoji.

    Rows go by concept, then vendor. Attributes: ``vendor``, ``name`` (CLDR short name, also the class name),
    ``keywords`` (CLDR; a tuple of strings), ``category`` (9, and "Component" for the five skin tone swatches) and
    ``subcategory`` (99). Concepts are the base entries of emoji.json (no skin tone variants), matched to each vendor's
    files by code point sequence without U+FE0F; google and twitter draw 1,911, fluent 1,852, emojione 1,481.

    Trap: 25 groups of concepts (families, flags of territories; 77 pictures) share one drawing within a vendor.

    ``size``: 8 to 256 pixels (sources have 64, fluent 256, emojione 128). ``vendors``: some of "google", "twitter",
    "fluent", "emojione" (None: all); only their packages are fetched, and ``classes`` stays the full list.
    Scaling is done on premultiplied colours, so the unseen colour of transparent pixels bleeds into no edge.
    Decoding takes about ten seconds once, loading well under one; O(rows * size^2) memory, 66 MB by default.

    Raises ``InputError``, ``DataUnavailableError``, and ``MissingExtraError`` without Pillow.
    """
    size = check_integer(size, "size", low=8, high=256)
    chosen = _chosen(vendors)
    listed_by = "emoji-twitter" if "twitter" in chosen and "google" not in chosen else "emoji-google"
    needed = [
        _VENDORS[name].package for name in chosen if not is_remembered(f"emoji-{name}", _VENDORS[name].recipe(size))
    ]
    if not is_remembered("emoji-concepts", _concepts_recipe()):
        needed += [listed_by, "emojibase"]
    fetch_all(dict.fromkeys(needed), progress)
    concepts = remembered("emoji-concepts", _concepts_recipe(), lambda: _read_concepts(listed_by, progress))
    drawings = {name: _drawings(name, size, concepts["sequence"].tolist(), progress) for name in chosen}
    return _join(concepts, drawings)


def _chosen(vendors: Sequence[str] | None) -> list[str]:
    if vendors is None:
        return list(VENDORS)
    if isinstance(vendors, str) or not vendors:
        raise InputError("vendors", got=repr(vendors), expected="a list with some of " + ", ".join(VENDORS))
    asked = {check_choice(vendor, "vendors", VENDORS) for vendor in vendors}
    return [vendor for vendor in VENDORS if vendor in asked]


def _concepts_recipe() -> dict[str, object]:
    # The list is the same file in the google and twitter packages of one version.
    return {"recipe": _RECIPE, "list": package("emoji-google").version, "keywords": package("emojibase").sha256}


def _read_concepts(listed_by: str, progress: Progress) -> Arrays:
    entries = json.loads(read_member(fetch(listed_by, progress), "package/emoji.json"))
    entries.sort(key=lambda entry: entry["sort_order"])
    words = {
        _plain(entry["hexcode"]): entry
        for entry in json.loads(read_member(fetch("emojibase", progress), "package/en/data.json"))
    }
    spoken = [words[_plain(entry["unified"])] for entry in entries]
    return {
        "sequence": np.array([entry["unified"].lower() for entry in entries]),
        "name": np.array([word["label"] for word in spoken]),
        "keywords": np.array([_BETWEEN.join(word["tags"]) for word in spoken]),
        "category": np.array([entry["category"] for entry in entries]),
        "subcategory": np.array([entry["subcategory"] for entry in entries]),
    }


def _drawings(vendor: str, size: int, sequences: Sequence[str], progress: Progress) -> Arrays:
    source = _VENDORS[vendor]
    folder = source.small if size <= 64 else source.large

    def build() -> Arrays:
        require("PIL.Image", "data")
        files = _files_by_concept(fetch(source.package, progress), folder, sequences)
        pictures = []
        for done, concept in enumerate(sorted(files)):
            if done % 100 == 0:
                progress(f"decode emoji of {vendor}", done, len(files))
            pictures.append(_decode(files[concept], size))
        progress(f"decode emoji of {vendor}", len(files), len(files))
        return {"X": np.stack(pictures), "concept": np.array(sorted(files), dtype=np.int64)}

    return remembered(f"emoji-{vendor}", source.recipe(size), build)


def _files_by_concept(path: Path, folder: str, sequences: Sequence[str]) -> dict[int, bytes]:
    """Return the file of each concept that the vendor draws; where it has two spellings, the fully qualified one."""
    numbers = {_plain(sequence): number for number, sequence in enumerate(sequences)}
    found: dict[int, bytes] = {}
    exact: set[int] = set()

    def wanted(name: str) -> bool:  # straight in the folder: below it are alternative drawings
        return name.startswith(folder) and "/" not in name.removeprefix(folder)

    for name, content in read_members(path, wanted):
        stem = PurePosixPath(name).stem.lower()
        number = numbers.get(_plain(stem))
        if number is not None and number not in exact:
            found[number] = content
            if stem == sequences[number]:
                exact.add(number)
    return found


def _plain(sequence: str) -> str:
    """Return a code point sequence without the emoji presentation selector, upper case and leading zeros."""
    points = (point.lstrip("0") for point in sequence.lower().split("-"))
    return "-".join(point for point in points if point != "fe0f")


def _decode(content: bytes, size: int) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGBA").convert("RGBa")
    side = max(picture.size)
    if picture.size != (side, side):
        square = Image.new("RGBa", (side, side))
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = square
    pixels = np.array(picture.resize((size, size), Image.Resampling.BICUBIC).convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0  # one way to say "nothing here"
    return pixels


def _join(concepts: Arrays, drawings: Mapping[str, Arrays]) -> Dataset:
    y = np.concatenate([part["concept"] for part in drawings.values()])
    vendor = np.repeat(np.array(list(drawings)), [len(part["concept"]) for part in drawings.values()])
    order = np.argsort(y, kind="stable")
    X = np.concatenate([part["X"] for part in drawings.values()])[order]
    y = y[order]
    attributes: dict[str, Any] = {"vendor": vendor[order]}
    attributes |= {name: concepts[name][y] for name in ("name", "category", "subcategory")}
    keywords = np.empty(len(concepts["keywords"]), dtype=object)
    keywords[:] = [tuple(words.split(_BETWEEN)) for words in concepts["keywords"]]
    attributes["keywords"] = keywords[y]
    sources = [package(key) for key in (*(_VENDORS[name].package for name in drawings), "emojibase")]
    return Dataset(
        "emoji",
        X,
        y,
        concepts["name"].tolist(),
        attributes,
        "; ".join(f"{source.name}: {source.licence}" for source in sources),
        ", ".join(source.title for source in sources),
    )
