"""Words for people: catalogues in each language, and what of a text may be shown."""
