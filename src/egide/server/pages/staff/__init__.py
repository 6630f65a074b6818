"""Pages for a helpline's workers: sign in, see the cases, register for somebody."""
