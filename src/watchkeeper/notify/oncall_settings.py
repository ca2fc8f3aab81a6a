"""What watchkeeper.yml says about the people on call; alertmanager.yml has no place for it."""

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Several
from watchkeeper.notify.escalate import Escalation
from watchkeeper.notify.field_types import Duration, MatcherLines
from watchkeeper.notify.matcher import LabelMatcher
from watchkeeper.notify.schedule import Schedule


class Digest(Schedule):
    """A receiver that gets its alerts gathered, at moments of a schedule, instead of as they come.

    Everything that its routes' groups hold at such a moment goes into one message a group; `group_by: []` on the route
    makes that one message in all.
    """

    receiver: str = setting("", "The receiver's name.", min_length=1, validate_default=True)


class OwnServices(Settings):
    """Alerts that people without the Editor role may silence: their own."""

    people: Several[str] = setting((), "Logins.")
    matchers: MatcherLines = setting((), 'What a silence must contain, such as service="api".')


class OnCallSettings(Settings):
    """Acknowledgement, escalation, digests, silences."""

    ack_lasts: Duration = setting(14_400_000, "How long an acknowledgement lasts by itself; 4h.", ge=60_000)
    acks_max: int = setting(50_000, "At most so many acknowledgements at a time.", unit="acknowledgements")
    escalations: Several[Escalation] = setting((), "Who is told when nobody acknowledges.")
    digests: Several[Digest] = setting((), "Receivers that are told by a schedule.")

    own_services: Several[OwnServices] = setting((), "What Viewers may silence.")
    silence_asks_beyond: int = setting(20, "A silence that mutes more must be confirmed.", unit="alerts", ge=0)
    recurring_silences_max: int = setting(1000, "At most so many recurring silences.", unit="silences")

    def owned_by(self, login: str) -> list[tuple[LabelMatcher, ...]]:
        """Give the matchers of a person's own services."""
        return [one.matchers for one in self.own_services if login in one.people and one.matchers]

    def schedules(self) -> dict[str, Schedule]:
        """Give the schedule of each receiver that has one."""
        return {one.receiver: one for one in self.digests}

    def receivers(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Give each receiver that is named, with its place in the section."""
        steps = [(("escalations", at, "to"), one.to) for at, one in enumerate(self.escalations)]
        steps += [
            (("escalations", at, "receiver"), one.receiver) for at, one in enumerate(self.escalations) if one.receiver
        ]
        return [*steps, *((("digests", at, "receiver"), one.receiver) for at, one in enumerate(self.digests))]
