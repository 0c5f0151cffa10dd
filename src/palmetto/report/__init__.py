"""The study's pages: the HTML report, the model card, the datasheet, and one data table per figure.

Reads the plain files of a study folder and nothing else; computes no new finding, only puts the measured ones
in words, tables and figures. The study driver and the command line may call it, through `build.build_report`.
"""
