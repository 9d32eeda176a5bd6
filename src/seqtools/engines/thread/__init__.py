"""Evaluate in threads of this process."""
