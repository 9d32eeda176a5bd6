"""A reader, its window, blocks and workers as a discrete-event simulation."""
