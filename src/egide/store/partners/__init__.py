"""Partners: registers that are followed, and what was given to them and said by them."""
