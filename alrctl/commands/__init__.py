"""One small module a command: read, compute, write."""
