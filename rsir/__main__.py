"""`python -m rsir` does the same as `rsir`."""

from rsir.cli import main

if __name__ == "__main__":
    main()
