"""The tables, by purpose; `egide.store.migrations` creates them."""
