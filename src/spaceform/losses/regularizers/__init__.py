"""Terms that are added to a loss: they ask for something that a loss over pairs does not."""
