"""Errors that a reader can act on."""


class RsirError(ValueError):
    """A problem with a file, an option or a data set.

    The message names the file, the field and the remedy. The command
    line prints it on one line and exits with code 2.
    """
