"""Where shards are scanned: worker processes on this machine."""
