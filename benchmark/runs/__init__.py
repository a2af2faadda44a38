"""A cell from its plan to its record. Read run.py first.

May import training, data, models, pruning, records and plan.
"""
