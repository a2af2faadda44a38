"""Which cells there are: suites, cells and their ids, the methods, models and data sets that are there.

May import errors alone; needs no torch.
"""
