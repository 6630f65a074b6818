"""The use cases: register, withdraw, search, import, export. What front ends call."""
