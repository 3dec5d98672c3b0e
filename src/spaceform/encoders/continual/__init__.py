"""Learners of classes that arrive in tasks: the stateful contract, the estimator around it, and streams of tasks."""
