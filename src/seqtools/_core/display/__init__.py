"""How pipelines are shown: in a line, as a tree, as a page."""
