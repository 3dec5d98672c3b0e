"""How a network changes with its width: exponents, parametrisations, coordinate checks, transfer of rates."""
