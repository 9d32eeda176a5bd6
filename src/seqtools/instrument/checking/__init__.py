"""What `check` looks for; `checker` calls all others for each prefetch.

`pickling` finds objects that cannot be sent to worker processes, with `handles` for those that are
invalid there. `sharing` finds objects that threads must not share, and random generators;
`iterables` those over which each process iterates separately. `worker` evaluates items in a worker,
where `worker_main` makes a report about each, and `changes` notices values that are changed.
`findings` has the result.
"""
