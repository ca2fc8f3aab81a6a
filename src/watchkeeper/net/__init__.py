"""Bytes in and out: routes, the gate before every body, who is calling, the client. Knows no metric."""
