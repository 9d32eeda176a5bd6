"""Where the time of a pipeline goes, measured from inside of its workers.

`session` has the entrance. It has a copy of the pipeline read that has a recorder after each stage
(`recorded_pipeline`); these, and the consumer's side (`consumer`), write what happens into files
(`seqtools._core.recording`). Of that, `tracks` makes lanes, one for each thread, `figures` what
each stage took, `measures` how the consumer was served. `model` says how long it would take with
other workers, `overlap` what is loaded while others compute. `case` puts all of this together,
`advice` tries what might help, and `verdict` says what is the matter. What users see is written by
`report`, `trace` and `page`.
"""
