"""One file a command: it reads its options, calls the rooms below and says what came of it."""
