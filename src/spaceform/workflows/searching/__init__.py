"""Parts of searching a Space: where a query lies, what finds its neighbours, what the rows that pass have in common."""
