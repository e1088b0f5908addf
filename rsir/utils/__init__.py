"""What every room may use: errors, files, progress, seeds."""
