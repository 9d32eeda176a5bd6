"""Items evaluated by executors, Dask and Ray."""
