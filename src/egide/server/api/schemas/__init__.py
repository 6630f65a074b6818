"""Bodies of the API, for the OpenAPI document and for tests."""
