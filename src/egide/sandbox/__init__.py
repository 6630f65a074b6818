"""Child interpreters: started in one place, with a bare environment and within limits."""
