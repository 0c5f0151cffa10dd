"""What a trained model can do: tasks made from held-out text, and Palmetto as a model of `lm_eval`.

`made_tasks` writes lm_eval tasks that any model can take; `harness` lets lm_eval ask a Palmetto model; `run`
asks one model one task and writes result and samples; `statistics` puts intervals around the scores;
`in_loop` is the small version that training calls. The rooms below (`analysis`, `report`) read the files and
use the intervals; studies and the command line call the functions. `lm_eval` is imported only where it is
used: it is slow to import.
"""
