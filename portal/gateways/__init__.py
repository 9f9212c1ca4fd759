"""External systems: payments and mail. Gateways take and return plain data, never rows."""
