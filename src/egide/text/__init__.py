"""Words for people: catalogues in each language, and names made safe to show."""
