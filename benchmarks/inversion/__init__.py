"""How much of a picture can be seen again from its fingerprints.

docs/explain/what-fingerprints-tell.md has the figures. Torch is of this benchmark alone.
"""
