"""One file a family of networks. May import plan."""
