"""Evaluate in other processes."""
