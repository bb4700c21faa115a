"""Files that nobody meant to write, given to each of the program's readers: `make fuzz`."""
