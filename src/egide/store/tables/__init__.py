"""The tables, by what they are for; `egide.store.migrations` makes them."""
