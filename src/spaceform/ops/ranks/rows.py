"""Rows of all processes of a group, in the order of their ranks; outside a group there is one process."""

from __future__ import annotations

import torch
import torch.distributed as dist

from spaceform.errors import InputError


def world_size() -> int:
    """Return the number of processes: 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(rows: torch.Tensor) -> torch.Tensor:
    """Return the rows of all processes without a gradient, such as labels ``(B,)``.

    The ranks may hold different numbers of rows ``(B, ...)``, of one width. Outside a process group the rows come back
    as they are. Raises ``InputError`` when the ranks disagree on width or dtype. Sends each rank the rows of all.
    """
    return rows if world_size() == 1 else torch.cat(rows_of_ranks(rows.detach()))


def rows_of_ranks(rows: torch.Tensor) -> list[torch.Tensor]:
    """Return the rows of each rank, as :func:`gather` does before they are one; shorter ranks are padded on the way."""
    if world_size() == 1:
        return [rows]
    width = rows[0].numel() if len(rows) else -1
    mine = torch.tensor([len(rows), width, rows.element_size()], device=rows.device)
    shapes = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(shapes, mine)
    counts = [int(shape[0]) for shape in shapes]
    kinds = {(int(shape[1]), int(shape[2])) for shape in shapes if int(shape[0])}
    if len(kinds) > 1:
        raise InputError("rows", got=f"widths and bytes {sorted(kinds)} on the ranks", expected="the same on all")
    longest = max(counts)
    padded = rows.new_zeros(longest, *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return [part[:count] for part, count in zip(parts, counts, strict=True)]
