"""The report: one HTML page that a lawyer can read, in English and in French."""
