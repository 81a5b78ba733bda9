"""Hostile input, kind by kind, as a user meets it: a process, its two lines, its time and its memory."""
