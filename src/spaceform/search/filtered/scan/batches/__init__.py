"""Many queries in one call: under one filter each match is read once, multiplied with all, and judged while at hand."""
