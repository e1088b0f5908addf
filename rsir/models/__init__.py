"""The four systems and the linear baseline: one paper, one file."""
