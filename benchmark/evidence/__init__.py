"""Pins, claims and reported numbers, compared with records. May import records and plan; needs no torch."""
