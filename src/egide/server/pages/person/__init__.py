"""Pages for the person in the images: what Egide does, registering, and their case."""
