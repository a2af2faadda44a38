"""Pins, claims and reported numbers, held against records. May import records and plan; needs no torch."""
