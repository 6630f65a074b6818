"""Other machines that Egide speaks with: registers that it follows, services that it tells."""
