"""From a score matrix to a number that one can trust; NumPy only."""
