"""Published methods of filtered search, each in a file, as rows of a benchmark: one contract, compiled kernels.

`contract` is what they share: fit on vectors with attributes, query with a condition; a condition that a method
can't serve is refused. `registry` lists them with the grids over which a benchmark sweeps.
"""
