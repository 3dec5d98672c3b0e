"""A Space in the browser: a page and a JSON interface to search it, on this machine alone unless a token is set.

`served` holds what is served, `api` the addresses, `guard` who may ask, `slots` how many at once and for how long.
"""
