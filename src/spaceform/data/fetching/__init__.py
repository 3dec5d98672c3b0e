"""How packages arrive: the machine's own clients, the user's cache, and archives read where they lie."""
