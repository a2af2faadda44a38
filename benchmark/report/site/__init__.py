"""One static site of a store."""
