"""Active label refinement as staged, file-based commands."""

__version__ = "0.1.0"
