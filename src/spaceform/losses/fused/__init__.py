"""Value and gradient of losses over pairs in one pass over blocks of rows."""
