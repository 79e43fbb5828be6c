"""Whatever people do, in whatever order, the meeting keeps its promises."""

import copy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kabina.interpretation import commands as c
from kabina.interpretation.errors import InterpretationError, MisuseError
from kabina.interpretation.events import ListenerMoved
from kabina.interpretation.hearing import ORIGINAL_LEVELS_DB
from kabina.interpretation.ids import FLOOR, MeetingId, Role
from kabina.interpretation.meeting import Meeting
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.stage import Visual
from kabina.interpretation.tables import ChannelState, DeskState

# A fixed cast, so that collisions are likely: whoever is drawn can do most of what is drawn.
CAST = {
    "i-1": (Role.INTERPRETER, frozenset({"fr"})),
    "i-2": (Role.INTERPRETER, frozenset({"fr", "sq"})),
    "i-3": (Role.INTERPRETER, frozenset({"fr", "sq"})),
    "s-1": (Role.SPEAKER, frozenset()),
    "o-1": (Role.OPERATOR, frozenset({"fr"})),
    "a-1": (Role.ATTENDEE, frozenset({"fr"})),
}
interpreters = st.sampled_from(["i-1", "i-2", "i-3"])
speakers = st.sampled_from(["s-1", "o-1"])
people = st.sampled_from([*CAST, "nobody"])
tags = st.sampled_from(["en", "fr", "sq", "tg", "fr-CH", "floor", "no tag"])
booths = st.sampled_from(["fr", "fr", "sq", "sq", "en"])
channels = st.sampled_from([None, FLOOR, "en", "fr", "sq", "de"])
levels = st.sampled_from([*ORIGINAL_LEVELS_DB, -17.0])
visuals = st.sampled_from(list(Visual))
misplaced = st.one_of(
    st.builds(c.TakeFloor, people, tags),
    st.builds(c.ReleaseFloor, people),
    st.builds(c.JoinBooth, people, tags),
    st.builds(c.LeaveBooth, people),
    st.builds(c.TakeChannel, people),
    st.builds(c.ReleaseChannel, people),
    st.builds(c.AudioLost, people),
    st.builds(c.AudioBack, people),
    st.builds(c.Show, people, visuals, st.booleans()),
)


def _named(plan):
    heard = set(plan.floor)
    for channel in plan.channels:
        heard |= {*channel.floor, *channel.interpreters}
    return heard


class MeetingMachine(RuleBasedStateMachine):
    @initialize(desks=st.integers(1, 3))
    def open(self, desks):
        spec = MeetingSpec(MeetingId("m"), "", "en", ("fr", "sq"), desks_per_booth=desks)
        self.meeting = Meeting(spec)
        self.now = 0.0
        self.listening = {}
        for who in CAST:
            self._receive(self._join(who))
        # Most of what can go wrong needs people in their places first.
        for who, booth in (("i-1", "fr"), ("i-2", "fr"), ("i-3", "sq")):
            self._receive(c.JoinBooth(who, booth))

    def _join(self, who):
        role, languages = CAST.get(who, (Role.ATTENDEE, frozenset()))
        return c.JoinMeeting(who, f"Name of {who}", role, languages)

    def _receive(self, command):
        before = copy.deepcopy(vars(self.meeting))
        view = self.meeting.view(0.0)
        try:
            self.meeting.receive(command, now=self.now)
        except InterpretationError as error:
            assert vars(self.meeting) == before, "a refused command changed something"
            if isinstance(error, MisuseError):
                present = command.participant in self.meeting.participants
                assert present is isinstance(command, c.JoinMeeting)
        after = self.meeting.view(0.0)
        assert (after.revision > view.revision) is (after != view)
        for event in self.meeting.poll():
            if isinstance(event, ListenerMoved):
                self.listening[event.participant] = event.channel
        if isinstance(command, c.LeaveMeeting):
            assert self.listening.pop(command.participant, None) is None
            assert command.participant not in _named(self.meeting.plan())
            assert self.meeting.booth_of(command.participant) is None
        if isinstance(command, c.AudioLost):
            assert command.participant not in _named(self.meeting.plan())

    @rule(who=people)
    def join(self, who):
        self._receive(self._join(who))

    @rule(who=people)
    def leave(self, who):
        self._receive(c.LeaveMeeting(who))

    @rule(who=people, channel=channels, level=levels)
    def listen(self, who, channel, level):
        self._receive(c.Listen(who, channel, level))

    @rule(who=speakers, language=tags)
    def speak(self, who, language):
        self._receive(c.TakeFloor(who, language))

    @rule(who=interpreters, booth=booths)
    def sit_down(self, who, booth):
        self._receive(c.JoinBooth(who, booth))

    @rule(who=interpreters)
    def open_microphone(self, who):
        self._receive(c.TakeChannel(who))

    @rule(who=interpreters)
    def close_microphone(self, who):
        self._receive(c.ReleaseChannel(who))

    @rule(team=st.permutations(["i-1", "i-2", "i-3"]))
    def everybody_opens_the_microphone(self, team):
        for who in team:
            self._receive(c.TakeChannel(who))

    @rule(who=speakers, visual=visuals, on=st.booleans())
    def show(self, who, visual, on):
        self._receive(c.Show(who, visual, on))

    @rule(who=st.one_of(interpreters, speakers))
    def lose_audio(self, who):
        self._receive(c.AudioLost(who))

    @rule(command=misplaced)
    def do_anything(self, command):
        self._receive(command)

    @rule(span=st.floats(0, 3600))
    def wait(self, span):
        self.now += span
        self.meeting.advance(now=self.now)

    @rule()
    def reach_the_deadline(self):
        deadline = self.meeting.deadline()
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.meeting.advance(now=self.now)
            after = self.meeting.deadline()
            assert after is None or after > deadline

    @invariant()
    def no_booth_has_two_desks_on_air(self):
        for booth in self.meeting.view(self.now).booths:
            assert sum(desk.state is DeskState.ACTIVE for desk in booth.desks) <= 1
        for channel in self.meeting.plan().channels:
            assert len(channel.interpreters) <= 1

    @invariant()
    def nobody_is_left_without_the_floor(self):
        plan = self.meeting.plan()
        assert [one.channel for one in plan.channels] == [FLOOR, "en", "fr", "sq"]
        assert all(channel.floor == plan.floor for channel in plan.channels)

    @invariant()
    def only_those_present_are_heard_and_each_in_their_own_place(self):
        plan = self.meeting.plan()
        roles = {who: person.role for who, person in self.meeting.participants.items()}
        assert all(roles[who] in (Role.SPEAKER, Role.OPERATOR) for who in plan.floor)
        for channel in plan.channels:
            for who in channel.interpreters:
                assert roles[who] is Role.INTERPRETER
                assert channel.channel in self.meeting.participants[who].languages

    @invariant()
    def only_speakers_who_are_there_are_seen(self):
        stage = self.meeting.plan().stage
        for who in (stage.camera, stage.screen):
            if who is not None:
                person = self.meeting.participants[who]
                assert person.role in (Role.SPEAKER, Role.OPERATOR)

    @invariant()
    def nobody_sits_at_two_desks(self):
        desks = [d.participant for b in self.meeting.view(0.0).booths for d in b.desks]
        assert len(desks) == len(set(desks))

    @invariant()
    def the_view_tells_what_the_plan_does(self):
        view, plan = self.meeting.view(self.now), self.meeting.plan()
        planned = {channel.channel: channel for channel in plan.channels}
        assert tuple(sorted(one.participant for one in view.floor.speakers)) == plan.floor
        for channel in view.channels:
            on_air = tuple(one.participant for one in channel.on_air)
            assert on_air == planned[channel.id].interpreters
            assert (channel.state is ChannelState.INTERPRETED) is bool(on_air)

    @invariant()
    def what_somebody_hears_is_planned_and_nothing_else(self):
        heard = {self.meeting.hearing(who) for who in self.meeting.participants} - {None}
        planned = [outlet.hearing for outlet in self.meeting.plan().outlets]
        assert len(planned) == len(set(planned))
        assert set(planned) == heard

    @invariant()
    def nobody_hears_themselves_and_everybody_all_others_or_a_relay(self):
        plan = self.meeting.plan()
        on_air = {channel.channel: channel.interpreters for channel in plan.channels}
        outlets = {outlet.hearing: outlet for outlet in plan.outlets}
        for who in self.meeting.participants:
            hearing = self.meeting.hearing(who)
            if hearing is None:
                continue
            outlet = outlets[hearing]
            assert hearing.without in (None, who)
            assert who not in (*outlet.floor, *outlet.interpreters)
            is_relayed = hearing.at_desk and on_air[hearing.channel] != ()
            assert outlet.has_original is not is_relayed
            assert set(outlet.floor) == (set() if is_relayed else set(plan.floor) - {who})
            assert set(outlet.interpreters) == set(on_air[hearing.channel]) - {who}

    @invariant()
    def only_those_at_a_desk_have_a_feed_and_never_of_their_own_channel(self):
        for who in self.meeting.participants:
            hearing = self.meeting.hearing(who)
            booth = self.meeting.booth_of(who)
            if hearing is not None:
                assert hearing.at_desk is (booth is not None and booth != hearing.channel)

    @invariant()
    def every_listener_is_counted_once_where_the_events_put_them(self):
        for channel in self.meeting.plan().channels:
            there = [who for who, heard in self.listening.items() if heard == channel.channel]
            assert channel.listeners == len(there)


TestMeetingMachine = MeetingMachine.TestCase
# The default deadline measures this box, not the code; runs must be the same for everybody.
TestMeetingMachine.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, derandomize=True
)
