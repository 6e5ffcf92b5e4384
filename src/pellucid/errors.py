"""Errors that are shown to people: what was wrong, with which file, and what to do."""


class PellucidError(Exception):
    """Base of every error that the command line prints without a traceback."""


class ImageError(PellucidError):
    """An image could not be read or written: truncated, too large, or in an unknown format."""


class CheckpointError(PellucidError):
    """A weights file is missing, unsafe, damaged, or does not fit the network."""


class UsageError(PellucidError):
    """The caller asked for something contradictory or unknown (exit status 2)."""
