"""Networks that others released: read without running anything, matched, counted, evaluated. May import training."""
