"""What is recorded of a run, and what is made from it: records, their store, code hashes, rows of tables.

May import plan; needs no torch.
"""
