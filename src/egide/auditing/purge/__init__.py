"""Take what an audit found out of a dataset: into a clean copy, or in place with a way back."""
