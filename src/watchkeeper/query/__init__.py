"""Ask it: PromQL over frames, LogQL over lines."""
