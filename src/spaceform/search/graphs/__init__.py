"""Proximity graphs: the walk, the pruning of links and the two ways to build one (hierarchical, flat).

The reference methods of filtered search differ in which links they keep and which rows their walk may enter; what they
share is here: `beams` (distances, the list of the nearest found), `pruning`, `vamana`, `hnsw`. Kernels are compiled.
"""
