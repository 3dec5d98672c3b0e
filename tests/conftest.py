"""What holds for all tests."""

import hashlib
import os
import sys
from pathlib import Path
from types import ModuleType

# tests move the user's cache, in which compiled code is kept: it would be compiled again for each of them
_ROOT = Path(__file__).resolve().parents[1]
_SOURCES = b"".join(
    path.read_bytes() for path in sorted((_ROOT / "src").rglob("*.py")) if b"@compiled" in path.read_bytes()
)
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(_ROOT / ".pytest_cache" / f"numba-{hashlib.sha256(_SOURCES).hexdigest()[:12]}")
)

# pytorch-metric-learning, a peer in some tests, imports this module, which replaces the search of faiss for the whole
# process by one without the arguments that milvus-lite and the benchmark of filtered search call it with
sys.modules.setdefault("faiss.contrib.torch_utils", ModuleType("faiss.contrib.torch_utils"))
