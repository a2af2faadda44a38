"""Which cells there are: suites, cells and their ids, and the methods, models and data sets found here.

May import only errors; needs no torch.
"""
