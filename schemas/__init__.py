"""The contracts: one module a table, and what a checkpoint holds."""
