"""Checkpoints that survive a kill: tensors as safetensors, the rest as JSON, written aside and renamed. No pickle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from spaceform.errors import InterruptedRunError
from spaceform.files import flush_folder, write_text_whole

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where and how often a run is saved.

    Parameters: ``folder`` (created when missing), ``every`` steps between saves (>= 1), ``settings`` (JSON-able:
    what must be equal for a run to go on; another run's folder is refused, never overwritten). Of several processes
    only one ``writes``; all load.
    """

    folder: Path
    every: int
    settings: Mapping[str, Any]
    writes: bool = True

    def save(self, step: int, states: Mapping[str, Mapping[str, Any]], history: Mapping[str, Any]) -> None:
        """Write ``states`` (name -> state_dict) and ``history``; the previous save stays until this one is whole."""
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{step:09d}"
        staging = self.folder / f".{target.name}.partial"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            tensors: dict[str, torch.Tensor] = {}
            plain = {name: _split(state, name, tensors) for name, state in states.items()}
            save_file(tensors, staging / "tensors.safetensors")
            record = {
                "format": FORMAT,
                "step": step,
                "settings": dict(self.settings),
                "states": plain,
                "history": history,
            }
            _sync(staging / "tensors.safetensors")
            write_text_whole(staging / "state.json", json.dumps(record))
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
        flush_folder(self.folder)  # the older save goes only when the disk knows the new name
        for old in self._saves()[:-1]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> tuple[int, dict[str, dict[str, Any]], dict[str, Any]] | None:
        """Return ``(step, states, history)`` of the newest save, or None when there is none.

        Raises ``InterruptedRunError`` when it was made with other settings.
        """
        saves = self._saves()
        if not saves:
            return None
        try:
            record = json.loads((saves[-1] / "state.json").read_text())
            tensors = load_file(saves[-1] / "tensors.safetensors")
            theirs = record["settings"]
            states = {name: _join(plain, name, tensors) for name, plain in record["states"].items()}
            step, history = int(record["step"]), record["history"]
        except Exception as error:
            raise InterruptedRunError(
                f"{saves[-1]} can't be read ({error}); delete it to start the run again"
            ) from error
        ours = json.loads(json.dumps(dict(self.settings)))
        if theirs != ours:
            changed = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
            raise InterruptedRunError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}); "
                "use the same settings, another folder, or delete it"
            )
        return step, states, history

    def clear(self) -> None:
        """Delete every save: the run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _saves(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.is_dir() else []


def _split(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Replace each tensor inside ``value`` by a marker and collect it under its path."""
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().clone().contiguous()
        return {"__tensor__": path}
    if isinstance(value, Mapping):
        items = [[key, _split(item, f"{path}/{key}", tensors)] for key, item in value.items()]
        return {"__items__": items}
    if isinstance(value, list | tuple):
        return [_split(item, f"{path}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _join(value: Any, path: str, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        if "__tensor__" in value:
            return tensors[value["__tensor__"]]
        return {key: _join(item, f"{path}/{key}", tensors) for key, item in value["__items__"]}
    if isinstance(value, list):
        return [_join(item, path, tensors) for item in value]
    return value


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
