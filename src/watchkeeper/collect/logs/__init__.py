"""Tail files and turn lines into entries."""
