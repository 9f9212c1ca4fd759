"""The clients in clients/: in step with the OpenAPI document, and at work against a served application."""
