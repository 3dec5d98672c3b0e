"""One training loop, its checkpoints, moving averages and schedules."""
