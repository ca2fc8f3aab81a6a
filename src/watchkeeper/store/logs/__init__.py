"""Log lines: blocks of lines; the door is db.LogDb."""
