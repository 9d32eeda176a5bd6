"""What `check` looks for, each kind of finding in a module."""
