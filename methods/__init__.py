"""One file a method. Each reads like its paper's algorithm box."""
