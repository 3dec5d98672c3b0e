"""What holds for all tests."""

import sys
from types import ModuleType

# pytorch-metric-learning, a peer in some tests, imports this module, which replaces the search of faiss for the whole
# process by one without the arguments that milvus-lite and the benchmark of filtered search call it with
sys.modules.setdefault("faiss.contrib.torch_utils", ModuleType("faiss.contrib.torch_utils"))
