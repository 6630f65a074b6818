"""The pages for people: a person who registers images, and the helpline's staff beside them."""
