"""PromQL: parse, plan, evaluate on matrices."""
