"""Adding classes to a Space: the learner in its folder, the stream of tasks, what is forgotten."""
