"""The ideas that stages share: pure functions of arrays, each with its source."""
