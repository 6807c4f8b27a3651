"""What goes on the Python path of a function's process: nothing in it imports the rest of the sandbox."""
