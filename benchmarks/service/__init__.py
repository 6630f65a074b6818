"""How fast and how steady a served register is, measured from outside, over HTTP."""
