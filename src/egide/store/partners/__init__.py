"""Partners: registers that are followed, services that are told, and what was given and said."""
