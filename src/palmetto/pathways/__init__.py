"""More machines for the same train step (Barham et al., "Pathways", 2022; PaLM, section 4).

Here live the plan (ahead-of-time compilation for hardware that is not there), joining the processes of a cluster and
starting several on one machine, and the single controller that drives pods as islands. All of it calls `training`,
and nothing but the command line calls it.
"""
