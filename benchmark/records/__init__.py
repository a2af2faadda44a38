"""What is written down of a run, and what is made of it: records, their store, code hashes, rows of tables.

May import plan; needs no torch.
"""
