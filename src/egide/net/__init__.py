"""Requests to other machines: checked addresses, bounded time and size.

Every request goes through `egide.net.connect.request`, which connects only to addresses that
`egide.net.guard` has checked. Nothing is kept between calls.
"""
