"""One safe API over all of it for agents."""
