"""Benchmarks of search under filters, in the files in which they are published."""

from __future__ import annotations

from spaceform.data.layouts.benchmarks.search.arxiv import load_arxiv_fanns
from spaceform.data.layouts.benchmarks.search.task import SearchTask
from spaceform.data.layouts.benchmarks.search.yfcc import load_yfcc

__all__ = ["SearchTask", "load_arxiv_fanns", "load_yfcc"]
