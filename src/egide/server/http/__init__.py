"""Layers that every request passes: its sender, its size, its time limits, and its errors."""
