"""The commands: a file for each, or for each group, and a folder for one that has parts of its own."""
