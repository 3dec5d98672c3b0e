"""How rows lie in memory and how they are scanned: bitmaps, codes, cells, kernels and the engine over them."""
