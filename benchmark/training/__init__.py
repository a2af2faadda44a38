"""The training step and all around it: batches, augmentation, precision, graphs, evaluation.

May import data, pruning and plan.
"""
