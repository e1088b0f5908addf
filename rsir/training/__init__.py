"""One training loop for all systems. Explained in chapter 02."""
