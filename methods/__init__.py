"""One file or folder a method. This file imports nothing. Each reads like its paper's algorithm box."""
