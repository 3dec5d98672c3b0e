"""The verbs as functions: from a Space and options to a Space and a plain result."""
