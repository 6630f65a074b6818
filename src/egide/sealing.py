"""Keypoints sealed with a key that is kept outside the store."""
