"""How many edited copies are found, and how many pictures are taken for another.

Run from the folder `benchmarks`: `python -m edits --help`.
"""
