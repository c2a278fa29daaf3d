"""What one observation makes of an alert: design, promises 6, 7 and 8."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service_event_checker.core.ids import internal_id
from service_event_checker.core.model import POSTS_MAX, Alert, Event, Post, Snapshot
from service_event_checker.core.tracker import Tracked, absent, longer_id, track
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, ResolvedBy, Severity, Status, Verb, Why
from tests.factories import NOW, alert, event

LATER = NOW + timedelta(minutes=30)
HOUR = timedelta(hours=1)
FIRING, RESOLVED, NOTED = EventStatus.FIRING, EventStatus.RESOLVED, EventStatus.NOTED


def over(by: ResolvedBy = ResolvedBy.SOURCE, **changes: object) -> Alert:
    """The alert of `event()`, ended at LATER."""
    return alert(status=Status.RESOLVED, resolved_by=by, ended_at=LATER, updated_at=LATER, **changes)


def whys(change: Tracked) -> list[Why]:
    return [transition.why for transition in change.transitions]


def verbs(change: Tracked) -> list[Verb]:
    return [verb for transition in change.transitions for verb in transition.verbs]


def after(change: Tracked) -> Alert:
    assert change.alert is not None
    return change.alert


class TestFirstSeen:
    def test_a_firing_event_opens_the_first_episode(self) -> None:
        change = track(None, event(), NOW)

        opened = after(change)
        assert (opened.episode, opened.status, opened.intakes, opened.revision) == (1, Status.FIRING, ("poll",), 0)
        assert opened.internal_id == internal_id("github", event().key, 1)
        assert (whys(change), verbs(change)) == ([Why.OPENED], [])
        assert change.transitions[0].before is None

    @pytest.mark.parametrize(
        ("starts_at", "at", "started_at"),
        [(NOW, LATER, NOW), (None, LATER, LATER), (None, None, NOW + HOUR)],
        ids=["its start", "else its time", "else now"],
    )
    def test_it_began_when_the_source_says_so(
        self, starts_at: datetime | None, at: datetime | None, started_at: datetime
    ) -> None:
        assert after(track(None, event(starts_at=starts_at, at=at), NOW + HOUR)).started_at == started_at

    @pytest.mark.parametrize("status", [FIRING, RESOLVED])
    def test_what_does_not_affect_us_is_not_stored(self, status: EventStatus) -> None:
        seen = event(status=status, affects_us=Affects.NO, starts_at=LATER)

        assert track(None, seen, LATER, first_good_at=NOW) == Tracked(None)

    def test_what_may_affect_us_is_opened_and_marked(self) -> None:
        assert after(track(None, event(affects_us=Affects.UNKNOWN), NOW)).affects_us is Affects.UNKNOWN

    @pytest.mark.parametrize("status", [EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED, NOTED])
    def test_what_is_done_to_an_unknown_alert_makes_none(self, status: EventStatus) -> None:
        assert track(None, event(status=status), NOW, first_good_at=NOW - HOUR) == Tracked(None)

    def test_what_was_over_when_first_seen_is_recorded_as_missed_and_owed_to_nobody(self) -> None:
        seen = event(status=RESOLVED, starts_at=LATER, at=LATER + HOUR)

        change = track(None, seen, LATER + 2 * HOUR, first_good_at=NOW)

        missed = after(change)
        assert (missed.status, missed.resolved_by, missed.ended_at) == (
            Status.RESOLVED,
            ResolvedBy.SOURCE,
            LATER + HOUR,
        )
        assert (whys(change), verbs(change)) == ([Why.MISSED], [])

    @pytest.mark.parametrize(
        ("posted_at", "first_good_at"),
        [(NOW, LATER), (NOW, NOW), (NOW, None), (None, NOW - HOUR)],
        ids=["before the first good poll", "at that moment", "no good poll yet", "no time is known"],
    )
    def test_history_is_not_stored(self, posted_at: datetime | None, first_good_at: datetime | None) -> None:
        seen = event(status=RESOLVED, starts_at=posted_at, at=posted_at)

        assert track(None, seen, LATER, first_good_at=first_good_at) == Tracked(None)

    def test_a_webhook_that_resolves_an_unknown_alert_leaves_nothing(self) -> None:
        seen = event(status=RESOLVED, intake="/alert", starts_at=LATER)

        assert track(None, seen, LATER, first_good_at=NOW) == Tracked(None)


class TestAnOpenAlert:
    def test_a_repetition_changes_nothing(self) -> None:
        known = after(track(None, event(), NOW))

        assert track(known, event(), LATER) == Tracked(known)

    def test_changed_content_is_an_update(self) -> None:
        change = track(alert(), event(description="Fix is rolling out.", at=LATER), LATER)

        assert (whys(change), verbs(change)) == ([Why.CHANGED], [Verb.UPDATE])
        assert (after(change).description, after(change).updated_at) == ("Fix is rolling out.", LATER)

    def test_what_the_event_leaves_out_stays(self) -> None:
        bare = event(title="", description="", url="", labels={}, annotations={}, at=LATER)

        change = track(alert(annotations={"runbook": "x"}), bare, LATER)

        assert change.transitions == ()
        assert after(change) == alert(annotations={"runbook": "x"}, seen_at=LATER)

    @pytest.mark.parametrize("field", ["title", "description", "url", "labels", "annotations"])
    def test_each_part_of_the_content_that_people_see_is_worth_an_update(self, field: str) -> None:
        new = {"x": "new"} if field in ("labels", "annotations") else "https://new.example"

        assert verbs(track(alert(), event(**{field: new}), LATER)) == [Verb.UPDATE]

    def test_content_older_than_what_was_taken_is_left_aside(self) -> None:
        known = alert(seen_at=LATER)

        assert track(known, event(description="An old page.", severity=Severity.CRITICAL), LATER) == Tracked(known)

    def test_a_time_that_only_moves_on_is_kept_without_a_word(self) -> None:
        change = track(alert(), event(at=LATER), LATER)

        assert (after(change).seen_at, change.transitions) == (LATER, ())

    def test_an_event_without_a_time_does_not_lose_the_newest_one(self) -> None:
        change = track(alert(seen_at=LATER), event(at=None, title="Renamed"), LATER)

        assert (after(change).title, after(change).seen_at) == ("Renamed", LATER)

    @pytest.mark.parametrize(
        ("severity", "why"),
        [(Severity.CRITICAL, Why.SEVERITY_RAISED), (Severity.WARNING, Why.SEVERITY_LOWERED)],
        ids=str,
    )
    def test_a_change_of_severity_says_which_way(self, severity: Severity, why: Why) -> None:
        change = track(alert(), event(severity=severity), LATER)

        assert (whys(change), verbs(change), after(change).severity) == ([why], [Verb.UPDATE], severity)

    def test_a_new_intake_is_a_transition_that_owes_nothing_by_itself(self) -> None:
        change = track(alert(), event(intake="/alert"), LATER)

        assert (whys(change), verbs(change)) == ([Why.NEW_INTAKE], [])
        assert (after(change).intakes, after(change).updated_at) == (("poll", "/alert"), LATER)
        assert whys(track(after(change), event(), LATER)) == []

    def test_a_new_intake_counts_even_where_its_content_is_old(self) -> None:
        change = track(alert(seen_at=LATER), event(intake="/alert", title="Old"), LATER)

        assert whys(change) == [Why.NEW_INTAKE]
        assert (after(change).title, after(change).intakes) == (alert().title, ("poll", "/alert"))

    def test_a_new_intake_with_news_is_two_transitions(self) -> None:
        assert whys(track(alert(), event(intake="/alert", title="New"), LATER)) == [Why.NEW_INTAKE, Why.CHANGED]

    def test_a_filter_that_no_longer_fits_changes_nothing_of_what_is_tracked(self) -> None:
        change = track(alert(), event(affects_us=Affects.NO), LATER)

        assert change == Tracked(alert())
        ended = track(alert(), event(affects_us=Affects.NO, status=RESOLVED, at=LATER), LATER)
        assert (whys(ended), verbs(ended)) == ([Why.RESOLVED_BY_SOURCE], [Verb.CLOSE])

    def test_being_listed_again_forgets_the_missing_polls(self) -> None:
        assert after(track(alert(missing_polls=1), event(), LATER)).missing_polls == 0


class TestPlannedWork:
    def plan(self, start: timedelta, end: timedelta | None, **changes: object) -> Event:
        ends_at = NOW + end if end is not None else None
        return event(kind=Kind.MAINTENANCE, starts_at=NOW + start, ends_at=ends_at, **changes)

    def test_the_plan_is_kept(self) -> None:
        opened = after(track(None, self.plan(3 * HOUR, 5 * HOUR), NOW))

        assert (opened.started_at, opened.starts_at) == (NOW + 3 * HOUR, NOW + 3 * HOUR)
        assert opened.ends_at == NOW + 5 * HOUR

    @pytest.mark.parametrize(("start", "end"), [(2, 5), (4, 5), (3, 4), (3, 6)])
    def test_another_plan_is_told(self, start: int, end: int) -> None:
        opened = after(track(None, self.plan(3 * HOUR, 5 * HOUR), NOW))

        change = track(opened, self.plan(start * HOUR, end * HOUR, at=LATER), LATER)

        assert (after(change).started_at, after(change).ends_at) == (NOW + start * HOUR, NOW + end * HOUR)
        assert (whys(change), verbs(change)) == ([Why.CHANGED], [Verb.UPDATE])

    def test_an_event_without_the_plan_leaves_it_as_it_is(self) -> None:
        opened = after(track(None, self.plan(3 * HOUR, 5 * HOUR), NOW))

        change = track(opened, event(kind=Kind.MAINTENANCE, starts_at=None, at=LATER), LATER)

        assert (after(change).starts_at, after(change).ends_at) == (NOW + 3 * HOUR, NOW + 5 * HOUR)
        assert change.transitions == ()

    def test_an_older_plan_is_not_taken(self) -> None:
        opened = after(track(None, self.plan(3 * HOUR, 5 * HOUR, at=LATER), LATER))

        change = track(opened, self.plan(4 * HOUR, 6 * HOUR, at=NOW), LATER)

        assert (after(change).starts_at, after(change).ends_at) == (NOW + 3 * HOUR, NOW + 5 * HOUR)


class TestAcknowledging:
    def test_an_acknowledgement_names_its_owner_and_is_owed_to_all(self) -> None:
        change = track(alert(), event(status=EventStatus.ACKNOWLEDGED, actor="Ada", via="slack", person=True), LATER)

        assert (after(change).status, after(change).owner) == (Status.ACKNOWLEDGED, "Ada")
        assert (whys(change), verbs(change)) == ([Why.ACKNOWLEDGED], [Verb.ACK])
        assert (change.transitions[0].actor, change.transitions[0].via) == ("Ada", "slack")

    def test_it_is_taken_back_by_an_unacknowledgement(self) -> None:
        taken = alert(status=Status.ACKNOWLEDGED, owner="Ada")

        change = track(taken, event(status=EventStatus.UNACKNOWLEDGED, actor="Ben"), LATER)

        assert (after(change).status, after(change).owner, verbs(change)) == (Status.FIRING, "", [Verb.UNACK])

    @pytest.mark.parametrize(
        ("known", "status"),
        [
            (alert(status=Status.ACKNOWLEDGED, owner="Ada"), EventStatus.ACKNOWLEDGED),
            (alert(), EventStatus.UNACKNOWLEDGED),
            (over(), EventStatus.ACKNOWLEDGED),
            (over(), EventStatus.UNACKNOWLEDGED),
        ],
    )
    def test_what_is_so_already_or_comes_too_late_changes_nothing(self, known: Alert, status: EventStatus) -> None:
        assert track(known, event(status=status, actor="Ben"), LATER) == Tracked(known)

    def test_a_rise_in_severity_ends_it(self) -> None:
        taken = alert(status=Status.ACKNOWLEDGED, owner="Ada")

        change = track(taken, event(severity=Severity.CRITICAL, at=LATER), LATER)

        assert (after(change).status, after(change).owner) == (Status.FIRING, "")
        assert (whys(change), verbs(change)) == ([Why.SEVERITY_RAISED], [Verb.UPDATE, Verb.UNACK])

    @pytest.mark.parametrize("changes", [{"severity": Severity.INFO}, {"title": "Other words"}], ids=["eased", "text"])
    def test_other_news_leaves_it(self, changes: dict[str, object]) -> None:
        change = track(alert(status=Status.ACKNOWLEDGED, owner="Ada"), event(**changes), LATER)

        assert (after(change).status, after(change).owner) == (Status.ACKNOWLEDGED, "Ada")
        assert verbs(change) == [Verb.UPDATE]

    def test_the_end_ends_it_and_the_next_episode_has_no_owner(self) -> None:
        taken = alert(status=Status.ACKNOWLEDGED, owner="Ada")

        ended = after(track(taken, event(status=RESOLVED, at=LATER), LATER))
        again = after(track(ended, event(starts_at=LATER + HOUR, at=LATER + HOUR), LATER + HOUR))

        assert (ended.status, again.status, again.owner) == (Status.RESOLVED, Status.FIRING, "")


class TestTheEnd:
    def test_the_source_ends_it_at_the_time_it_names(self) -> None:
        change = track(alert(), event(status=RESOLVED, at=LATER), LATER + HOUR)

        ended = after(change)
        assert (ended.status, ended.resolved_by, ended.ended_at) == (Status.RESOLVED, ResolvedBy.SOURCE, LATER)
        assert (whys(change), verbs(change)) == ([Why.RESOLVED_BY_SOURCE], [Verb.CLOSE])

    def test_its_last_words_are_kept_but_not_its_severity(self) -> None:
        last = event(status=RESOLVED, description="Fixed.", severity=Severity.INFO, at=LATER)

        ended = after(track(alert(), last, LATER))

        assert (ended.description, ended.severity) == ("Fixed.", Severity.ERROR)

    def test_a_person_ends_it_now_and_is_named(self) -> None:
        change = track(alert(), event(status=RESOLVED, person=True, actor="Ada", via="slack", at=None), LATER)

        ended = after(change)
        assert (ended.resolved_by, ended.ended_at, ended.owner) == (ResolvedBy.PERSON, LATER, "Ada")
        assert (whys(change), verbs(change)) == ([Why.RESOLVED_BY_PERSON], [Verb.CLOSE])

    def test_a_second_end_changes_nothing(self) -> None:
        for known, again in [
            (over(), event(status=RESOLVED)),
            (over(), event(status=RESOLVED, person=True)),
            (over(ResolvedBy.ABSENCE), event(status=RESOLVED)),
            (over(ResolvedBy.PERSON), event(status=RESOLVED, person=True)),
            (over(ResolvedBy.PERSON, source_ended=True), event(status=RESOLVED)),
        ]:
            assert track(known, again, LATER + HOUR) == Tracked(known)

    def test_the_sources_own_end_after_a_persons_is_a_note_that_says_so(self) -> None:
        change = track(over(ResolvedBy.PERSON, owner="Ada"), event(status=RESOLVED, at=LATER + HOUR), LATER + HOUR)

        assert (whys(change), verbs(change)) == ([Why.SOURCE_ENDED], [Verb.NOTE])
        assert change.transitions[0].note == "ended at the source"
        assert (after(change).ended_at, after(change).owner) == (LATER, "Ada")
        assert track(after(change), event(status=RESOLVED), LATER + 2 * HOUR).transitions == ()

    def test_the_late_end_of_an_earlier_firing_ends_nothing(self) -> None:
        known = alert(starts_at=LATER, intakes=("/alert",))

        assert track(known, event(status=RESOLVED, at=NOW, intake="/alert"), LATER + HOUR) == Tracked(known)

    def test_an_end_at_the_very_start_is_an_end(self) -> None:
        """Alertmanager tells nanoseconds by webhook and milliseconds by its API."""
        known = alert(starts_at=LATER)

        late = event(status=RESOLVED, at=LATER - timedelta(microseconds=900), intake="/alert")

        assert whys(track(known, late, LATER)) == [Why.RESOLVED_BY_SOURCE]

    def test_a_page_that_lists_it_as_over_ends_it_whatever_times_it_gives(self) -> None:
        """Vendors date an end back; a list that was read now is still the state of now."""
        assert whys(track(alert(starts_at=LATER), event(status=RESOLVED, at=NOW), LATER)) == [Why.RESOLVED_BY_SOURCE]

    def test_a_firing_that_arrives_after_its_own_end_does_not_open_again(self) -> None:
        """The webhook of the second firing is overtaken by the one that ends it."""
        second = event(intake="/alert", starts_at=LATER, at=LATER)
        ended = after(track(alert(), replace(second, status=RESOLVED, at=LATER + HOUR), LATER + HOUR))

        change = track(ended, second, LATER + HOUR)

        assert (after(change).episode, after(change).repeats, change.transitions) == (1, 1, ())


class TestCopies:
    """A ticket, incident or message that we made is a copy: its source owns content and end."""

    def copy(self, **changes: object) -> Event:
        return event(source="pagerduty", fingerprint="PABC", via="pagerduty", at=LATER, **changes)

    def test_its_resolved_becomes_a_note_that_names_who_and_where(self) -> None:
        change = track(alert(), self.copy(status=RESOLVED, actor="Ada"), LATER)

        assert (whys(change), verbs(change)) == ([Why.COPY_RESOLVED], [Verb.CLOSE])
        assert (after(change).status, after(change).note) == (Status.FIRING, "resolved at pagerduty by Ada")
        assert change.transitions[0].via == "pagerduty"

    def test_its_own_words_are_kept_and_nobody_needs_a_name(self) -> None:
        said = track(alert(), self.copy(status=RESOLVED, note="was a false alarm"), LATER)
        silent = track(alert(), self.copy(status=RESOLVED), LATER)

        assert (after(said).note, after(silent).note) == ("was a false alarm", "resolved at pagerduty")

    def test_one_that_was_merged_away_ends_nothing_and_is_told_as_a_note(self) -> None:
        merged = self.copy(status=RESOLVED, note="merged into #12 at PagerDuty", not_fixed=True, actor="Ada")

        change = track(alert(), merged, LATER)

        assert (whys(change), verbs(change)) == ([Why.COPY_NOT_FIXED], [Verb.NOTE])
        assert (after(change).status, change.transitions[0].note) == (Status.FIRING, "merged into #12 at PagerDuty")

    def test_it_may_acknowledge(self) -> None:
        change = track(alert(), self.copy(status=EventStatus.ACKNOWLEDGED, actor="Ada"), LATER)

        assert (after(change).status, after(change).owner) == (Status.ACKNOWLEDGED, "Ada")

    def test_a_person_may_end_the_alert_from_there(self) -> None:
        assert whys(track(alert(), self.copy(status=RESOLVED, person=True), LATER)) == [Why.RESOLVED_BY_PERSON]

    def test_the_source_ends_its_alert_although_it_is_a_destination_too(self) -> None:
        change = track(alert(source="opsgenie"), event(source="opsgenie", status=RESOLVED, via="opsgenie"), LATER)

        assert whys(change) == [Why.RESOLVED_BY_SOURCE]


class TestNotes:
    def note(self, note_id: str = "", via: str = "redmine") -> Event:
        return event(status=NOTED, note="Restarted it.", actor="Ada", via=via, note_id=note_id)

    def test_a_note_is_kept_and_owed(self) -> None:
        change = track(alert(), self.note("7"), LATER)

        assert (whys(change), verbs(change), after(change).note) == ([Why.NOTED], [Verb.NOTE], "Restarted it.")
        assert (change.transitions[0].note, change.transitions[0].note_id) == ("Restarted it.", "7")

    def test_the_same_note_of_the_same_place_counts_once(self) -> None:
        noted = after(track(alert(), self.note("7"), LATER))

        assert track(noted, self.note("7"), LATER) == Tracked(noted)

    def test_the_same_number_at_two_places_is_two_notes(self) -> None:
        noted = after(track(alert(), self.note("7", via="redmine"), LATER))

        assert whys(track(noted, self.note("7", via="azure_devops"), LATER)) == [Why.NOTED]

    def test_notes_without_an_id_all_count(self) -> None:
        noted = after(track(alert(), self.note(), LATER))

        assert whys(track(noted, self.note(), LATER)) == [Why.NOTED]

    def test_the_memory_of_notes_is_bounded_and_keeps_the_latest(self) -> None:
        noted = alert()
        for number in range(60):
            noted = after(track(noted, self.note(str(number)), LATER))

        assert len(noted.note_ids) == 50
        assert track(noted, self.note("59"), LATER) == Tracked(noted)

    def test_a_note_after_the_end_is_still_told(self) -> None:
        change = track(over(), self.note(), LATER)

        assert (verbs(change), after(change).status) == ([Verb.NOTE], Status.RESOLVED)


class TestFiringAfterTheEnd:
    """Promise 8: the first rule that fits."""

    def opens(self, known: Alert, firing: Event) -> bool:
        change = track(known, firing, LATER + HOUR)
        opened = after(change).episode == known.episode + 1
        assert opened is (whys(change) == [Why.OPENED_AGAIN])
        assert verbs(change) == []
        return opened

    def test_a_new_episode_counts_on_and_forgets_the_old_ones_receivers(self) -> None:
        known = over(receivers=("slack",), intakes=("/alert",), revision=9, episode=4, repeats=3, note="x")

        again = after(track(known, event(starts_at=LATER + HOUR), LATER + HOUR))

        assert (again.episode, again.revision, again.receivers, again.intakes) == (5, 9, (), ("poll",))
        assert (again.previous_ended_at, again.ended_at, again.resolved_by) == (LATER, None, None)
        assert (again.opened_at, again.repeats, again.note) == (LATER + HOUR, 0, "")
        assert again.internal_id not in (known.internal_id, internal_id("github", known.key, 4))

    def test_after_an_end_by_absence_any_firing_is_a_new_episode(self) -> None:
        for starts_at in (NOW - HOUR, NOW, LATER, None):
            assert self.opens(over(ResolvedBy.ABSENCE), event(starts_at=starts_at, intake="/alert"))

    @pytest.mark.parametrize("intake", ["poll", "/alert"])
    def test_a_later_start_is_a_new_episode(self, intake: str) -> None:
        assert self.opens(over(), event(starts_at=NOW + timedelta(seconds=1), at=None, intake=intake))

    def test_a_start_that_differs_by_the_rounding_of_another_api_is_the_same_start(self) -> None:
        assert not self.opens(over(), event(starts_at=NOW + timedelta(microseconds=999), intake="/alert"))

    def test_the_latest_start_of_the_episode_counts(self) -> None:
        """An episode may hold several firings of its source; a repeat of the last of them is late, too."""
        assert not self.opens(over(starts_at=LATER), event(starts_at=LATER, intake="/alert"))
        assert self.opens(over(starts_at=LATER), event(starts_at=LATER + HOUR, intake="/alert"))

    def test_without_a_start_it_is_a_new_episode(self) -> None:
        assert self.opens(over(), event(starts_at=None, at=None, intake="/alert"))

    def test_where_the_first_firing_had_no_start_its_time_stands_in(self) -> None:
        assert not self.opens(over(starts_at=None), event(starts_at=NOW, intake="/alert"))
        assert self.opens(over(starts_at=None), event(starts_at=LATER, intake="/alert"))

    def test_a_page_that_changed_it_after_its_end_has_reopened_it(self) -> None:
        assert self.opens(over(), event(at=LATER + timedelta(seconds=1)))

    def test_also_where_an_old_copy_of_the_page_had_ended_it(self) -> None:
        """What we last saw of it is newer than the end that the old copy named."""
        assert self.opens(over(seen_at=LATER + HOUR), event(at=LATER + HOUR))

    @pytest.mark.parametrize("at", [NOW, LATER, None], ids=["before the end", "at the end", "no time"])
    def test_a_page_that_shows_the_old_state_has_not(self, at: datetime | None) -> None:
        assert not self.opens(over(), event(at=at))

    def test_what_no_longer_affects_us_is_not_opened_again(self) -> None:
        assert not self.opens(over(), event(starts_at=LATER + HOUR, affects_us=Affects.NO))

    def test_a_late_repeat_is_counted_without_a_transition(self) -> None:
        change = track(over(), event(), LATER)

        assert (after(change).repeats, after(change).repeated_at, change.transitions) == (1, LATER, ())
        assert after(change).updated_at == LATER

    def test_late_repeats_are_counted_at_most_once_an_hour(self) -> None:
        once = after(track(over(ResolvedBy.PERSON), event(), LATER))

        assert track(once, event(), LATER + timedelta(minutes=59)) == Tracked(once)
        assert after(track(once, event(), LATER + HOUR)).repeats == 2


class TestAnEndThatWasToldTooEarly:
    """Promise 8: Prometheus keeps `startsAt` while a rule fires, so the next firing has the same start."""

    SOON, LATE = LATER + timedelta(seconds=60), LATER + timedelta(seconds=61)

    @pytest.mark.parametrize("starts_at", [NOW, NOW - HOUR], ids=["the same start", "an earlier start"])
    def test_a_firing_that_is_told_later_than_a_duplicate_is_opens_again(self, starts_at: datetime) -> None:
        firing = event(starts_at=starts_at, at=None, intake="/alert")

        assert track(over(), firing, self.SOON).transitions == ()
        assert whys(track(over(), firing, self.LATE)) == [Why.OPENED_AGAIN]

    def test_how_late_a_duplicate_may_be_is_a_setting(self) -> None:
        firing = event(at=None, intake="/alert")

        change = track(over(), firing, LATER + timedelta(seconds=2), repeat_within=timedelta(seconds=1))

        assert whys(change) == [Why.OPENED_AGAIN]

    def test_the_time_runs_from_when_we_took_the_end_whatever_happened_since(self) -> None:
        ended = after(track(alert(), event(status=RESOLVED, at=NOW, intake="/alert"), LATER))
        firing = event(at=None, intake="/alert")

        assert track(replace(ended, updated_at=LATER + HOUR), firing, self.SOON).transitions == ()
        assert whys(track(replace(ended, updated_at=LATER + HOUR), firing, self.LATE)) == [Why.OPENED_AGAIN]

    def test_a_message_that_was_sent_before_the_end_opens_nothing_however_late_it_is_read(self) -> None:
        assert track(over(), event(at=LATER - HOUR, intake="/alert"), LATER + HOUR).transitions == ()

    def test_what_is_born_at_a_destination_is_told_once_so_a_repetition_is_old(self) -> None:
        assert track(over(), event(at=None, intake="/hook", via="opsgenie"), LATER + HOUR).transitions == ()

    @pytest.mark.parametrize("intake", ["/alert", "/hook"])
    def test_a_source_that_lists_it_as_open_at_two_looks_is_believed(self, intake: str) -> None:
        shown = event(at=None, intake=intake, listed=True, via="opsgenie" if intake == "/hook" else "")

        first = track(over(), shown, LATER + timedelta(seconds=5))
        assert first.transitions == ()
        assert track(after(first), shown, LATER + timedelta(seconds=5)).transitions == ()
        assert whys(track(after(first), shown, LATER + timedelta(seconds=10))) == [Why.OPENED_AGAIN]

    def test_a_page_that_shows_it_as_open_at_two_polls_is_believed_when_no_old_copy_can_show_it(self) -> None:
        soon = after(track(over(), event(), self.SOON))
        assert soon.relisted_at is None

        first = track(soon, event(), self.LATE)
        assert first.transitions == ()
        assert whys(track(after(first), event(), LATER + HOUR)) == [Why.OPENED_AGAIN]

    def test_a_page_that_shows_it_as_over_between_two_polls_had_shown_an_old_copy(self) -> None:
        first = after(track(over(), event(), LATER + HOUR))
        between = after(track(first, event(status=RESOLVED), LATER + HOUR + timedelta(minutes=1)))

        assert between == replace(first, relisted_at=None)
        assert track(between, event(), LATER + 2 * HOUR).transitions == ()

    def test_a_persons_end_is_taken_back_by_no_repetition(self) -> None:
        for repeat in (event(at=None, intake="/alert"), event(at=None, intake="/alert", listed=True), event()):
            once = after(track(over(ResolvedBy.PERSON), repeat, LATER + HOUR))

            assert track(once, repeat, LATER + 2 * HOUR).transitions == ()

    def test_unless_the_source_had_ended_it_since(self) -> None:
        told = event(status=RESOLVED, at=LATER + HOUR, intake="/alert")
        ended = after(track(over(ResolvedBy.PERSON), told, LATER + HOUR))
        firing = event(at=None, intake="/alert")

        assert track(ended, firing, LATER + HOUR + timedelta(seconds=60)).transitions == ()
        assert whys(track(ended, firing, LATER + HOUR + timedelta(seconds=61))) == [Why.OPENED_AGAIN]

    def test_a_duplicate_of_the_end_that_was_taken_back_ends_nothing(self) -> None:
        again = after(track(over(), event(at=None, intake="/alert"), LATER + HOUR))
        told = event(status=RESOLVED, at=LATER, intake="/alert")

        assert track(again, told, LATER + HOUR + timedelta(seconds=60)) == Tracked(again)
        assert whys(track(again, replace(told, at=LATER + HOUR), LATER + HOUR)) == [Why.RESOLVED_BY_SOURCE]
        assert whys(track(again, told, LATER + 2 * HOUR)) == [Why.RESOLVED_BY_SOURCE]


class TestAfterAPersonResolvedIt:
    def test_repeats_owe_nothing_whatever_the_page_says_of_its_time(self) -> None:
        for repeat in (event(), event(at=LATER + HOUR), event(starts_at=None), event(severity=Severity.INFO)):
            change = track(over(ResolvedBy.PERSON), repeat, LATER + HOUR)

            assert (after(change).episode, after(change).repeats, change.transitions) == (1, 1, ())

    def test_a_higher_severity_is_a_new_episode_with_the_same_start(self) -> None:
        change = track(over(ResolvedBy.PERSON), event(severity=Severity.CRITICAL), LATER)

        assert whys(change) == [Why.OPENED_AGAIN]
        assert (after(change).episode, after(change).started_at) == (2, NOW)

    def test_a_later_start_is_a_new_episode(self) -> None:
        assert whys(track(over(ResolvedBy.PERSON), event(starts_at=LATER), LATER)) == [Why.OPENED_AGAIN]

    def test_once_the_source_has_ended_it_the_common_rules_hold_again(self) -> None:
        ended = over(ResolvedBy.PERSON, source_ended=True)

        assert whys(track(ended, event(starts_at=None), LATER + HOUR)) == [Why.OPENED_AGAIN]
        assert whys(track(ended, event(at=LATER + HOUR), LATER + HOUR)) == [Why.OPENED_AGAIN]
        assert whys(track(ended, event(severity=Severity.CRITICAL), LATER + HOUR)) == []

    def test_an_old_copy_of_the_page_does_not_reopen_what_the_source_has_ended_since(self) -> None:
        """Resolved by a person at LATER, by the vendor two hours on; a cache then shows the state between them."""
        ended = after(track(over(ResolvedBy.PERSON), event(status=RESOLVED, at=LATER + 2 * HOUR), LATER + 2 * HOUR))

        assert track(ended, event(at=LATER + HOUR), LATER + 2 * HOUR).transitions == ()
        assert whys(track(ended, event(at=LATER + 3 * HOUR), LATER + 3 * HOUR)) == [Why.OPENED_AGAIN]


class TestAbsence:
    def poll(self, *events: Event, **changes: object) -> Snapshot:
        return replace(Snapshot(source="github", events=events, complete=True), **changes)

    def test_absence_counts_until_it_resolves(self) -> None:
        (first,) = absent([alert()], self.poll(), 2, LATER)
        (second,) = absent([after(first)], self.poll(), 2, LATER)

        assert (after(first).missing_polls, after(first).status, first.transitions) == (1, Status.FIRING, ())
        assert (after(second).status, after(second).resolved_by) == (Status.RESOLVED, ResolvedBy.ABSENCE)
        assert (after(second).ended_at, after(second).updated_at) == (LATER, LATER)
        assert (whys(second), verbs(second)) == ([Why.RESOLVED_BY_ABSENCE], [Verb.CLOSE])

    @pytest.mark.parametrize("resolve_after", [1, 2, 3])
    def test_it_takes_as_many_polls_as_configured(self, resolve_after: int) -> None:
        open_before_the_last = alert(missing_polls=resolve_after - 1, status=Status.ACKNOWLEDGED)

        (change,) = absent([open_before_the_last], self.poll(), resolve_after, LATER)

        assert not after(change).open
        assert change.transitions[0].before is Status.ACKNOWLEDGED

    def test_an_incomplete_list_says_nothing_of_what_it_leaves_out(self) -> None:
        assert absent([alert(missing_polls=9)], self.poll(complete=False), 1, LATER) == []

    def test_what_could_not_be_asked_is_not_over(self) -> None:
        assert absent([alert()], self.poll(unknown=frozenset({alert().fingerprint})), 1, LATER) == []

    def test_what_is_listed_is_not_missing_whatever_its_state(self) -> None:
        for status in EventStatus:
            assert absent([alert()], self.poll(event(status=status)), 1, LATER) == []

    def test_what_is_over_and_what_is_a_test_are_not_counted(self) -> None:
        assert absent([over(), alert(test=True)], self.poll(), 1, LATER) == []


def test_a_longer_id_begins_like_the_short_one() -> None:
    longer = longer_id(longer_id(alert())).internal_id

    assert longer.startswith(alert().internal_id)
    assert len(longer) == len(alert().internal_id) + 2


class TestAMereChangeOfContent:
    """A source tells that what it says of an alert has changed, not that the alert fires."""

    def told(self, **changes: object) -> Event:
        return event(**{"content_only": True, "at": LATER, **changes})

    def test_it_changes_an_open_alert_as_any_news_does(self) -> None:
        change = track(alert(), self.told(severity=Severity.CRITICAL), LATER)

        assert (whys(change), after(change).severity) == ([Why.SEVERITY_RAISED], Severity.CRITICAL)

    def test_it_leaves_the_severity_where_it_tells_none(self) -> None:
        change = track(alert(), self.told(title="Worse", severity=Severity.INFO, severity_told=False), LATER)

        assert (whys(change), after(change).severity, after(change).title) == ([Why.CHANGED], Severity.ERROR, "Worse")

    def test_it_opens_nothing(self) -> None:
        over = alert(status=Status.RESOLVED, resolved_by=ResolvedBy.SOURCE, ended_at=NOW)

        assert track(None, self.told(), LATER).alert is None
        assert track(over, self.told(severity=Severity.CRITICAL, starts_at=None), LATER + HOUR).transitions == ()

    def test_what_a_person_had_ended_is_opened_by_a_higher_severity_alone(self) -> None:
        over = alert(status=Status.RESOLVED, resolved_by=ResolvedBy.PERSON, ended_at=NOW)

        assert track(over, self.told(title="Other"), LATER).transitions == ()
        assert whys(track(over, self.told(severity=Severity.CRITICAL), LATER)) == [Why.OPENED_AGAIN]


class TestWhatASourceWrote:
    FIRST = Post(at=NOW, state="investigating", text="Looking.")
    SECOND = Post(at=LATER, state="identified", text="A switch.")

    def test_is_kept_in_order_and_what_it_corrects_is_replaced(self) -> None:
        opened = after(track(None, event(posts=(self.FIRST,), posted_at=LATER, states={"API": "partial_outage"}), NOW))
        fixed = replace(self.FIRST, text="We look.")

        change = after(track(opened, event(posts=(self.SECOND, fixed), posted_at=NOW, at=LATER), LATER))

        assert (change.posts, change.posted_at) == ((fixed, self.SECOND), NOW)
        assert change.states == {"API": "partial_outage"}

    def test_stays_where_the_source_tells_none(self) -> None:
        opened = after(track(None, event(posts=(self.FIRST,), posted_at=NOW), NOW))

        change = after(track(opened, event(at=LATER), LATER))

        assert (change.posts, change.posted_at) == ((self.FIRST,), NOW)

    def test_is_bounded(self) -> None:
        posts = tuple(Post(at=NOW + timedelta(minutes=n)) for n in range(POSTS_MAX + 5))

        assert after(track(None, event(posts=posts), NOW)).posts == posts[5:]

    def test_alone_is_no_news(self) -> None:
        opened = after(track(None, event(), NOW))

        assert track(opened, event(posts=(self.FIRST,), states={"API": "x"}), LATER).transitions == ()

    @pytest.mark.parametrize(("posted", "missed"), [(LATER, True), (NOW - timedelta(hours=3), False), (None, False)])
    def test_an_outage_that_was_over_when_posted_is_judged_by_its_post(
        self, posted: datetime | None, missed: bool
    ) -> None:
        early = NOW - timedelta(hours=2)
        over = event(status=EventStatus.RESOLVED, starts_at=early, at=early, posted_at=posted)

        assert (track(None, over, LATER, first_good_at=NOW).alert is not None) is missed


def test_what_its_source_retracts_ends_as_that_and_says_so() -> None:
    gone = Snapshot(source="github", complete=True, retracted=frozenset({alert().fingerprint}))

    (once,) = absent([alert()], gone, 2, NOW)
    (twice,) = absent([after(once)], gone, 2, LATER)

    assert (whys(once), whys(twice)) == ([], [Why.RETRACTED])
    assert after(twice).resolved_by is ResolvedBy.RETRACTED
