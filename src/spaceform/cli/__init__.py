"""The command line: one verb per file, each of which parses, calls one workflow and prints its result."""
