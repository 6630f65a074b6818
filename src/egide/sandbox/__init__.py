"""Child interpreters: started in one place, told only what they need, and kept within limits."""
