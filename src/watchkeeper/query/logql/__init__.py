"""LogQL: parse, evaluate over whole blocks of lines."""
