"""Combinators whose order or lengths depend on values, which a scan finds out once."""
