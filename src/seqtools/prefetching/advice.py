"""Messages for keywords that `prefetch` does not have."""

from collections.abc import Sequence

from seqtools._core.display.short import short

_ELSEWHERE = {
    "num_workers": "nworkers={}",
    "n_workers": "nworkers={}",
    "num_proc": "nworkers={}",
    "n_jobs": "nworkers={}",
    "num_threads": "nworkers={}, method='thread'",
    "num_parallel_calls": "nworkers={}",
    "max_workers": "nworkers={}",
    "workers": "nworkers={}",
    "processes": "nworkers={}, method='process'",
    "prefetch_factor": "max_cached, which counts all items ahead: {} for each worker",
    "buffer_size": "max_cached={}",
    "prefetch_buffer_size": "max_cached={}",
    "queue_size": "max_cached={}",
    "maxsize": "max_cached={}",
    "worker_init_fn": "start_hook={}",
    "initializer": "start_hook={}",
    "backend": "method='thread' or method='process'",
    "multiprocessing_context": "start_method='template', 'spawn' or 'fork'",
    "mp_context": "start_method='template', 'spawn' or 'fork'",
    "batch_size": "batch(…, {}) before prefetch(…)",
    "shuffle": "gather(…, permutation) before prefetch(…)",
    "persistent_workers": "nothing: workers persist until close(), or idle_timeout=",
    "pin_memory": "smap(…) with a function that pins, behind prefetch(…)",
    "collate_fn": "batch(…, collate_fn={}) before prefetch(…)",
    "generator": "seed=",
    "in_order": "ordered={}",
    "deterministic": "ordered={}",
}
"""Keywords of other libraries, and what to write here instead."""


def on_unknown(name: str, value: object, keywords: Sequence[str]) -> str:
    """Return the message for a keyword `name` that `prefetch()` does not have."""
    message = f"prefetch() has no {name!r}"
    if name in _ELSEWHERE:
        shown = short(value)
        return f"{message}: use {_ELSEWHERE[name].format(shown)}"
    import difflib

    near = difflib.get_close_matches(name, keywords, n=1, cutoff=0.5)
    if near:
        return f"{message}: did you mean {near[0]!r}?"
    return f"{message}; it has {', '.join(keywords)}"
