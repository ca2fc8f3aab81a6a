"""PromQL's functions by family; the families do not know each other, `table` joins them."""
