"""What is a document of a text file."""

from enum import StrEnum


class Per(StrEnum):
    """A line of it, or all of it."""

    LINE = "line"
    FILE = "file"
