"""Where the time of a pipeline goes, measured inside its workers.

`session` has the public functions. It replaces the pipeline by a copy with a recorder after each
stage (`recorded_pipeline`). These recorders and the consumer's side (`consumer`) write records into
files (`seqtools._core.recording`). `tracks` reads these files, one track for each thread. `figures`
computes the times of each stage, `measures` how the consumer was served, `iterating` and `overlap`
two special cases. `model` predicts the time with other workers. `case` combines all this, `advice`
compares alternatives, and `verdict` names the bottleneck. `report`, `trace` and `page` write the
results.
"""
