"""Places where items are evaluated: threads, processes. `base` says what one must do."""
