"""Where the time of a pipeline goes, measured from inside of its workers.

`session` has the entrance. It reads a copy of the pipeline that has a probe behind each stage
(`probes`), which write what happens into files (`seqtools.recording`). Of these, `tracks` makes
lanes, one for each thread, `stages` the figures of each stage, `model` says how long it would take
with other workers, and `verdict` what that means. What users see is written by `report`, `trace`
and `page`.
"""
