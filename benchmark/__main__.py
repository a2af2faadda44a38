"""`python -m benchmark` is the same as `prunebench`."""

from benchmark.cli import main

main()
