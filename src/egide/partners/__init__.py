"""Other machines that Egide talks to: registers that it follows, services that it notifies."""
