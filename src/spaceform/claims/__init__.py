"""One experiment per paper: the idea against its baselines, with the ablation that removes the idea."""
