"""One file a data set, and what they share. May import plan."""
