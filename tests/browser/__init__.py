"""A package, so that one Chromium can serve all of its modules."""
