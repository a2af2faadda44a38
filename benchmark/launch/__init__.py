"""Starts cells: workers and their leases, local processes, Slurm, several processes a cell, progress.

May import runs and the rooms below it.
"""
