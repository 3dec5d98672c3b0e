"""Networks of infinite width that are trained by finite computations."""
