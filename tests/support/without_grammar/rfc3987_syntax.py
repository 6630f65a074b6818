"""Stands before the library of this name in Ray's processes: it takes seconds to be imported."""

raise ImportError
