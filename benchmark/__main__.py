"""`python -m benchmark` is the same as `prunebench`."""

from benchmark.cli import main

if __name__ == "__main__":  # a process that another starts imports this too
    main()
