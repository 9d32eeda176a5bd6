"""Stages whose order or lengths depend on values, and the tables that say how."""
