"""The pages for people who register images, and for the helpline's staff."""
