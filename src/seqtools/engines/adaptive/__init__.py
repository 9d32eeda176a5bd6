"""Choose between threads and processes while reading."""
