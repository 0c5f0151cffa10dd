"""A study: the stages that lead from text to report, run in order, each resumable and inspectable on its own.

`stages` knows keys and folders and nothing of models; `run` says what each stage does; `plan` what it will cost;
`hardware` where it runs. Only the command line calls this room.
"""
