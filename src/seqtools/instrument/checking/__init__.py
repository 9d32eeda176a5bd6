"""What `check` looks for; `checker` calls all others for each prefetch.

`pickling` finds objects that cannot be sent to worker processes, with `handles` for those that are
invalid there. `sharing` finds objects that threads must not share, and random generators;
`iterables` those over which each process iterates separately, and `seeds` a seed that is used
twice. `worker` evaluates items in a worker,
where `worker_main` makes a report about each; `changes` notices values that are changed, and
`drawing` draws from generators without a seed.
`findings` has the result.
"""
