"""One file or folder per method. This file imports nothing. Each method reads like its paper's algorithm box."""
