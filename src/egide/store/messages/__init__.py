"""Messages to webhooks: who is told of what, and what they are still to be told."""
