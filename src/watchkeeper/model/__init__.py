"""The nouns every stage shares; this package imports nothing of watchkeeper's but itself.

errors     WatchkeeperError ─┬─ BadInput ─┬─ BadConfig     a file: where, what was got, what was wanted
                             │            ├─ BadQuery      PromQL or LogQL, with a position
                             │            └─ OverLimit     a limit's name, what was got, what is allowed
                             ├─ Refused                    not now (503) or not for you (403)
                             ├─ NotDelivered               a receiver's answer; says whether to try again
                             └─ Damaged                    bytes of ours that do not check out
labels     Labels (one series), Symbols (strings by number), LabelTable (labels of many series in columns)
matchers   Matcher: name, operator, value; compiled by RE2
pattern    every regular expression from outside goes through here
frame      Layout, Row (what is appended), FrameSlice (what is selected), bit patterns of stale and absent
histogram  Histogram (one native histogram), buckets, spans, bounds; histogram_sum: added, subtracted, reset
doors      what the stages promise each other: MetricStore, LogStore, Ask, Send …
alert      Alert: what a rule hands to notify
clock      Clock: now and a monotonic time, handed in so that tests hold time still
duration   "1h30m" ⇄ milliseconds
document   YAML with lines, limits and plain scalars as Go reads them
metrics    the process's own counters, served on /metrics
"""
