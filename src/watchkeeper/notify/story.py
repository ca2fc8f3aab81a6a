"""The steps of an alert as sentences for a person, and the answer to "why was I (not) paged?"."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from watchkeeper.notify.gotext import rfc3339
from watchkeeper.store.state.ledger import Event

Named = Callable[[str], str]  # a silence's id, or an alert's fingerprint, as words


def sentence(event: Event, silence: Named, alert: Named) -> str:
    """Say what happened in a step."""
    detail = event.detail
    receiver, by = detail.get("receiver", ""), detail.get("by", [])
    match event.kind:
        case "pending":
            return "its rule's condition began to hold: pending"
        case "fired":
            return "fired"
        case "resolved":
            return "resolved"
        case "grouped":
            others = detail["alerts"] - 1
            company = "alone" if not others else f"with {others} {'other' if others == 1 else 'others'}"
            return (
                f"grouped {company} as {_labels(detail['labels'])} on route {detail['route']} for receiver {receiver}"
            )
        case "inhibited":
            return f"held back from {receiver}: inhibited by {_list(by, alert)}"
        case "silenced":
            return f"held back from {receiver}: silenced by {_list(by, silence)}"
        case "muted":
            return f"held back from {receiver}: inside mute time interval {_list(by, str)}"
        case "inactive":
            return f"held back from {receiver}: outside of active time interval {_list(by, str)}"
        case "heard":
            return f"held back from {receiver} no longer"
        case "told":
            return f"{receiver} was told by {detail['integration']}: {detail['reason']}{_tries(detail['attempts'])}"
        case "failed":
            last = detail["attempts"][-1]["answer"] if detail["attempts"] else "no answer"
            tries = len(detail["attempts"])
            return f"{receiver} could not be told by {detail['integration']} in {_times(tries)}: {last}"
    return _on_call(event)


def _on_call(event: Event) -> str:
    detail = event.detail
    match event.kind:
        case "acknowledged":
            until = f" until {rfc3339(detail['until_ms'])}" if detail.get("until_ms") else ""
            comment = f": {detail['comment']}" if detail.get("comment") else ""
            return f"acknowledged by {detail['by']}{until}{comment}"
        case "ack_ended":
            return f"acknowledgement by {detail['by']} ended"
        case "escalated":
            return f"escalated to {detail['receiver']}: nobody acknowledged within {detail['after']}"
        case "noted":
            return f"{detail['by']} wrote: {detail['comment']}"
    return event.kind


def answer(firing: bool, events: Sequence[Event], hold: str, waits: str) -> str:
    """Answer whether, and why, people were told of an alert's latest episode.

    events  all that is known, oldest first
    hold    what holds it back at this moment, as words; "" when nothing does
    waits   when it will be told, as words; "" when nothing is waited for
    """
    episode = latest_episode(events)
    told = [one for one in episode if one.kind == "told"]
    failed = [one for one in episode if one.kind == "failed"]
    parts = []
    if told:
        first = told[0]
        parts.append(
            f"Yes: {first.detail['receiver']} was told at {rfc3339(first.time_ms)} ({first.detail['reason']})."
        )
        if len(told) > 1:
            latest = f"{told[-1].detail['receiver']} at {rfc3339(told[-1].time_ms)}"
            parts.append(f"The last of {len(told)} messages went to {latest}.")
    elif firing and hold:
        parts.append(f"No: it is {hold}.")
    elif failed:
        last = failed[-1]
        reason = last.detail["attempts"][-1]["answer"] if last.detail["attempts"] else "no answer"
        parts.append(f"No: {last.detail['receiver']} could not be told, last at {rfc3339(last.time_ms)}: {reason}.")
    elif firing:
        parts.append(f"Not yet{': ' + waits if waits else ''}.")
    else:
        held = [one for one in episode if one.kind in ("inhibited", "silenced", "muted", "inactive")]
        why = "it was over before its group was due" if not held else f"it was {held[-1].kind} while it fired"
        parts.append(f"No: {why}.")
    if told and failed and failed[-1].time_ms > told[-1].time_ms:
        parts.append(f"The next message could not be delivered to {failed[-1].detail['receiver']}.")
    if told and firing and hold:
        parts.append(f"Since then it is {hold}.")
    ended = [one for one in episode if one.kind == "resolved"]
    if ended and not firing:
        parts.append(f"It was over at {rfc3339(ended[-1].time_ms)}.")
    return " ".join(parts)


def latest_episode(events: Sequence[Event]) -> list[Event]:
    """Give the steps since an alert last fired, with the time it was pending before."""
    for at in range(len(events) - 1, -1, -1):
        if events[at].kind == "fired":
            return list(events[at - 1 if at and events[at - 1].kind == "pending" else at :])
    return list(events)


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def _list(items: Sequence[str], named: Named) -> str:
    shown = ", ".join(named(one) for one in items[:5])
    return f"{shown} and {len(items) - 5} more" if len(items) > 5 else shown


def _tries(attempts: Sequence[Mapping[str, Any]]) -> str:
    if not attempts:
        return " (nothing to send, only noted)"
    took = f" (taken in {attempts[-1]['took_ms']} ms"
    if len(attempts) == 1:
        return f"{took})"
    return f"{took}, at the {len(attempts)}. try; before: {attempts[-2]['answer']})"


def _times(count: int) -> str:
    return "one try" if count == 1 else f"{count} tries"
