"""The tiny data set, for every test of this room."""

from tiny import cache, cached, folder, splits, steps, stub  # noqa: F401
