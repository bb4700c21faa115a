"""The method: one module a stage, each with a pure `run`; no path, no terminal, no clock."""
