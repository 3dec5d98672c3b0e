"""What classifiers forget, and still learn, when their classes arrive in tasks."""
