"""Where a data-set job runs: one small value, the same for one process and for a cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError

ENGINE, WORKERS, ADDRESS = "SPACEFORM_ENGINE", "SPACEFORM_WORKERS", "SPACEFORM_ADDRESS"
"""Environment variables of what is not said in the call."""

ENGINES = ("local", "ray", "dask")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """``engine``: ``local`` (this process, or ``workers`` processes of it), ``ray`` or ``dask``.

    The two run ``workers`` at a time on this machine, or on the cluster at ``address`` ("auto" for Ray,
    ``tcp://host:8786`` for Dask), which must see the source and the folder that is written. Raises ``InputError`` for
    other engines, fewer than one worker, and an address of ``local``.

    >>> Scale(engine="dask", address="tcp://scheduler:8786", workers=8).engine
    'dask'
    """

    engine: str = "local"
    workers: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no engine can do."""
        check_choice(self.engine, "engine", ENGINES)
        check_integer(self.workers, "workers", low=1)
        if self.address and self.engine == "local":
            raise InputError("address", got=repr(self.address), expected="none for the engine 'local'",
                             remedy="name the cluster's engine, ray or dask")  # fmt: skip

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Scale:
        """Return what `ENGINE`, `WORKERS` and `ADDRESS` say; what is not set or empty is as by default.

        ``environment`` defaults to the process's. Raises ``InputError`` as the class, and for workers that are no
        number.
        """
        given = os.environ if environment is None else environment
        workers = given.get(WORKERS) or "1"
        if not workers.isdecimal():
            raise InputError(WORKERS, got=repr(workers), expected="a whole number")
        return cls(engine=given.get(ENGINE) or "local", workers=int(workers), address=given.get(ADDRESS) or None)
