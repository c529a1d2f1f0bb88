"""Guests of a household: each camera decides by its own clock whose time is over, and tells nobody.

A camera that removes such a guest drops the guest's revision too, where it leaves a tombstone of anybody else, and it
ignores what is received of somebody whose time is over. So a camera whose clock is wrong forgets guests for itself
alone. Where all clocks are right, all cameras drop a guest at about the same time, and nothing of the guest stays.
"""

from collections.abc import Mapping

from edge.core.replication import Member, Revision, members

CLOCKS_APART_SECONDS = 120.0  # that the clocks of two cameras may differ


def is_over(revision: Revision, now: float | None) -> bool:
    """Whether it is of a guest whose time is over. now: seconds since 1970; None while the time of day is not set."""
    expires = expires_of(revision)
    return now is not None and expires is not None and expires < now


def is_too_late(revision: Revision, now: float | None, life_seconds: float) -> bool:
    """Whether it is of a guest who would stay for longer than any may: the clock of the camera that wrote it is ahead.

    life_seconds: of the longest stay
    """
    expires = expires_of(revision)
    return now is not None and expires is not None and expires > now + life_seconds + CLOCKS_APART_SECONDS


def expires_of(revision: Revision) -> float | None:
    """When the person is removed; None is never."""
    value = None if revision.forgotten else revision.fields["expires"].value
    return value if isinstance(value, float) else None


def expired_here(revisions: Mapping[str, Revision], gallery: Mapping[str, Member], now: float | None) -> list[str]:
    """The ids of revisions of guests who are not in the gallery any more because their time is over."""
    if not any(is_over(revision, now) for revision in revisions.values()):
        return []
    gone = [member for person_id, member in members(revisions.values()).items() if person_id not in gallery]
    over = [member for member in gone if member.person.expires is not None and member.person.expires < (now or 0.0)]
    return [person_id for member in over for person_id in sorted(member.revisions)]
