"""Reaching out: what other machines are asked, which of them may be asked, and how long that takes.

All of it goes through one door, `egide.net.connect.request`, which connects only to addresses that
`egide.net.guard` has checked. Nothing here keeps anything between two calls.
"""
