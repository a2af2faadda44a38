"""The training step and everything around it: batches, augmentation, precision, graphs, evaluation.

May import data, pruning and plan.
"""
