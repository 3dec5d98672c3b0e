"""Filtered search measured: data sets and their cells, the true answers, peers with parameters to tune, figures."""
