"""Parts of the verb ``distill``: what is taught to whom, by which method, and how well it went."""
