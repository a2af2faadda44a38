"""One file per family of networks. May import plan."""
