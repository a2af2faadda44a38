"""One file per command: it reads its options, calls the rooms below and prints the result."""
