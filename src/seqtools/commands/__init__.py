"""The commands that look into a pipeline of the user's own: each module has an `add_command`."""
