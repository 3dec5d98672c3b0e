"""Networks that know of several domains."""
