"""What `check` looks for: `checker` asks all others about each prefetch.

`pickling` finds what cannot be sent to worker processes, and `handles` what of it means nothing
there; `sharing` what threads must not share, and random generators; `iterables` what each process
goes through by itself. `worker` has items evaluated by a worker, in which `worker_main` reports how
that went, and `changes` who changes what others keep. `findings` has what is returned.
"""
