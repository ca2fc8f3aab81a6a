"""One way to find targets each."""
