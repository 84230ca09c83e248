"""Runs that are written without a worker."""

from written_run import write_run

__all__ = ["write_run"]
