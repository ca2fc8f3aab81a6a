"""Samples: frames in memory and in the log; the door is db.MetricDb."""
