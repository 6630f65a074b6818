"""Pages for a helpline's workers: signing in, their cases, registering for somebody."""
