"""What `spaceform bench` measures: one module a subject, with `run(quick, progress)` that returns rows."""
