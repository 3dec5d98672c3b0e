"""Networks that weigh the places of a map."""
