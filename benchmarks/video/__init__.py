"""Recall of videos: drawn clips, their edits with the truth, and peers."""
