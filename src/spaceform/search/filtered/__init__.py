"""The filtered index: rows counted exactly, stored cell by cell, searched by the plan that costs least.

`index` holds the class; `postings` and `bitmaps` answer filters, `layout`, `codes` and `cells` store vectors, `kernels`
(and `reference`, the same in NumPy) search them, `graph` links them, `planner` chooses, `storage` and `journal` keep it
all on disk.
"""
