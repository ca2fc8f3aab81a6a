"""Keep it: samples, log lines and state, each behind one door; acknowledged means on the disk."""
