"""Get it: scrape, receive, tail; every source becomes rows or entries."""
