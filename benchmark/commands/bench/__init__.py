"""Times training steps here: the plain loop, the engine, compiled. Advice, never a result."""
