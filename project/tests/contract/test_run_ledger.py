"""The contract of `pipeline.ledger.RunLedger`, on every database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from langgraph_integration.pipeline.ledger import (
    Ask,
    Busy,
    Conflict,
    Granted,
    Lease,
    LeaseState,
    Position,
    Settled,
)
from langgraph_integration.store.positions import ASKS_KEPT
from tests.contract.asks import ask, granted, is_a, verdict
from tests.contract.conftest import Database
from tests.support.waiting import wait_until
from workflow_events.errors import LeaseLost

SHORT = timedelta(milliseconds=150)


async def test_a_new_event_is_granted_to_the_first_who_asks(database: Database) -> None:
    """The first claim of an id makes epoch 1, one claim, nothing to resume."""
    wanted = ask(deadline_ms=1234)
    async with database.open("a") as store:
        grant = await granted(store, wanted)
    assert grant == Granted(Lease(wanted.event_id, 1, "a"), 1, 1, 0, timedelta(0), 1234, resumed=False)


async def test_the_same_record_meets_a_live_lease(database: Database) -> None:
    """Another owner with the same record waits for the lease to end."""
    wanted = ask()
    async with database.open("a") as first, database.open("b") as second:
        await granted(first, wanted)
        busy = is_a(Busy, await second.ledger.claim(wanted))
    assert (busy.owner, busy.same_record, busy.attempt) == ("a", True, 1)
    assert timedelta(minutes=4) < busy.lease_left <= timedelta(minutes=5)


async def test_an_owner_that_holds_a_run_is_not_granted_it_again(database: Database) -> None:
    """A live run is busy for its own owner too."""
    wanted = ask()
    async with database.open() as store:
        await granted(store, wanted)
        is_a(Busy, await store.ledger.claim(wanted))


async def test_an_owner_gets_back_a_run_that_it_no_longer_holds(database: Database) -> None:
    """A process that dropped a run need not wait for itself, nor is it counted as one that died."""
    wanted = ask()
    async with database.open("a") as store:
        await granted(store, wanted)
    async with database.open("a") as store:
        again = await granted(store, wanted)
    assert (again.lease.epoch, again.claims, again.resumed) == (2, 1, True)


async def test_a_lapsed_lease_is_taken_over(database: Database) -> None:
    """When the lease has run out by the database's clock, the next claim gets the run under a new epoch."""
    wanted = ask()
    async with database.open("a", SHORT) as first, database.open("b", SHORT) as second:
        old = await granted(first, wanted)

        async def taken() -> Granted | None:
            claim = await second.ledger.claim(wanted)
            return claim if isinstance(claim, Granted) else None

        new = await wait_until(taken, description="the lease to lapse")
        assert (new.lease.epoch, new.claims, new.resumed) == (2, 2, True)
        with pytest.raises(LeaseLost):
            await first.ledger.finish(old.lease, verdict())
        with pytest.raises(LeaseLost):
            await first.ledger.schedule_retry(old.lease, 1, timedelta(seconds=1))
        assert await first.ledger.renew([old.lease]) == {}


async def test_a_renewed_lease_does_not_lapse(database: Database) -> None:
    """Renewing extends the lease from now, and tells attempt and deadline."""
    wanted = ask(deadline_ms=99)
    async with database.open("a", timedelta(minutes=1)) as first, database.open("b") as second:
        grant = await granted(first, wanted)
        async with database.open("a", timedelta(minutes=10)) as longer:
            kept = await longer.ledger.renew([grant.lease, Lease(uuid4(), 1, "a")])
        busy = is_a(Busy, await second.ledger.claim(wanted))
    assert kept == {wanted.event_id: LeaseState(1, 99)}
    assert busy.lease_left > timedelta(minutes=9)


async def test_a_stored_verdict_answers_the_redelivered_record(database: Database) -> None:
    """The verdict comes back byte for byte; whether it was published is told, so that it is sent if not."""
    wanted, stored = ask(), verdict("error")
    async with database.open("a", timedelta(0)) as first, database.open("b") as second:
        grant = await granted(first, wanted)
        assert await first.ledger.finish(grant.lease, stored) == 1
        before = is_a(Settled, await second.ledger.claim(wanted))
        await second.ledger.mark_published(before.lease, 1)
        after = is_a(Settled, await second.ledger.claim(wanted))
    assert (before.verdict, before.published, before.repeat) == (stored, False, False)
    assert (after.verdict, after.published, after.repeat) == (stored, True, False)


async def test_a_verdict_under_a_live_lease_is_left_to_its_owner(database: Database) -> None:
    """It is being published at that moment: a second publication would be a needless repeat."""
    wanted = ask()
    async with database.open("a") as first, database.open("b") as second:
        grant = await granted(first, wanted)
        await first.ledger.finish(grant.lease, verdict())
        busy = is_a(Busy, await second.ledger.claim(wanted))
        own = is_a(Settled, await first.ledger.claim(wanted))
        await first.ledger.mark_published(grant.lease, 1)
        after = is_a(Settled, await second.ledger.claim(wanted))
    assert (busy.owner, busy.same_record) == ("a", True)
    assert (own.published, after.published) == (False, True)


async def test_a_verdict_is_stored_once(database: Database) -> None:
    """Finishing again under the same lease leaves the first verdict as it is."""
    wanted = ask()
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict(result=b"first"))
        await store.ledger.finish(grant.lease, verdict(result=b"second"))
        found = await store.ledger.verdicts([wanted.event_id, uuid4()])
    assert found == {wanted.event_id: verdict(result=b"first")}


@pytest.mark.parametrize("result", [b"too large", None])
async def test_a_verdict_that_no_topic_takes_is_replaced(database: Database, result: bytes | None) -> None:
    """What is published instead stands, so that whoever asks again gets the same bytes."""
    wanted = ask()
    stored, smaller = replace(verdict(), result=result), verdict("error", result=b"smaller")
    async with database.open("a") as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, stored)
        await store.ledger.replace(grant.lease, stored, smaller)
        await store.ledger.mark_published(grant.lease, 1)
        found = is_a(Settled, await store.ledger.claim(wanted))
        again = await granted(store, ask(wanted.event_id, offset=1, attempt=2))
    assert (found.verdict, found.published) == (smaller, True)
    assert again.attempt == 2


async def test_a_verdict_is_replaced_only_by_who_may_publish_it(database: Database) -> None:
    """Not one that is published, nor another than was meant, nor under a lease that is over."""
    wanted, smaller = ask(), verdict("error", result=b"smaller")
    async with database.open() as store:
        grant = await granted(store, wanted)
        with pytest.raises(LeaseLost):
            await store.ledger.replace(grant.lease, verdict(), smaller)
        await store.ledger.finish(grant.lease, verdict())
        for other in (verdict("failure"), verdict(attempt=2), verdict(result=b"other")):
            with pytest.raises(LeaseLost):
                await store.ledger.replace(grant.lease, other, smaller)
        await store.ledger.mark_published(grant.lease, 1)
        with pytest.raises(LeaseLost):
            await store.ledger.replace(grant.lease, verdict(), smaller)
        await store.ledger.claim(ask(wanted.event_id, offset=1))  # owed a publication under a newer epoch
        with pytest.raises(LeaseLost):
            await store.ledger.replace(grant.lease, verdict(), smaller)
        assert await store.ledger.verdicts([wanted.event_id]) == {wanted.event_id: verdict()}


async def test_a_verdict_of_nothing_but_a_dead_letter_is_kept(database: Database) -> None:
    """Missing parts stay missing, empty ones stay empty."""
    wanted = ask()
    stored = verdict("error", result=b"")
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, stored)
        assert (await store.ledger.verdicts([wanted.event_id]))[wanted.event_id] == stored


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_new_ask_for_a_success_repeats_it(database: Database, attempt: int) -> None:
    """The asker of another record is owed a publication of its own, also when the process dies before it."""
    wanted = ask()
    repeated = ask(wanted.event_id, offset=7, attempt=attempt)
    async with database.open("a") as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict())
        await store.ledger.mark_published(grant.lease, 1)
        asked = is_a(Settled, await store.ledger.claim(repeated))
        again = is_a(Settled, await store.ledger.claim(repeated))
        await store.ledger.mark_published(grant.lease, 1)  # the first publication's mark, come late
        late = is_a(Settled, await store.ledger.claim(repeated))
        await store.ledger.mark_published(asked.lease, 1)
        marked = is_a(Settled, await store.ledger.claim(repeated))
    assert (asked.verdict, asked.published, asked.repeat) == (verdict(), False, True)
    assert (again.published, again.repeat) == (False, False)
    assert late.published is False
    assert (marked.published, marked.repeat) == (True, False)


@pytest.mark.parametrize("status", ["error", "failure"])
async def test_a_greater_attempt_resumes_what_failed(database: Database, status: str) -> None:
    """It starts its counters over, under a new epoch, and the old verdict stands no more."""
    wanted = ask()
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.ledger.schedule_retry(grant.lease, 3, timedelta(0))
        await store.ledger.finish(grant.lease, verdict(status))
        await store.ledger.mark_published(grant.lease, 1)
        again = await granted(store, ask(wanted.event_id, offset=1, attempt=2, deadline_ms=5))
        assert await store.ledger.verdicts([wanted.event_id]) == {}
        await store.ledger.finish(again.lease, verdict(attempt=2))
        redelivered = is_a(Settled, await store.ledger.claim(wanted))
    expected = Granted(Lease(wanted.event_id, 2, "a"), 2, 1, 0, timedelta(0), 5, resumed=True)
    assert again == expected
    assert (redelivered.verdict, redelivered.published, redelivered.repeat) == (
        verdict(attempt=2),
        False,
        False,
    )


@pytest.mark.parametrize("status", ["error", "failure"])
async def test_a_verdict_is_published_before_a_greater_attempt_is_run(
    database: Database, status: str
) -> None:
    """Its owner died before that: whoever asks with a greater attempt owes the first asker the verdict."""
    wanted = ask()
    greater = ask(wanted.event_id, offset=1, attempt=2)
    async with database.open("dead", timedelta(0)) as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict(status))
    async with database.open("a") as store:
        found = [is_a(Settled, await store.ledger.claim(greater)) for _ in range(2)]
        assert await store.ledger.verdicts([wanted.event_id]) == {wanted.event_id: verdict(status)}
        await store.ledger.mark_published(found[0].lease, 1)
        again = await granted(store, greater)
    lease = Lease(wanted.event_id, 2, "a")
    assert found == [Settled(verdict(status), published=False, repeat=False, lease=lease)] * 2
    assert not verdict(status).answers(greater.attempt)
    assert (again.attempt, again.claims) == (2, 1)


async def test_a_greater_attempt_waits_for_a_verdict_that_is_being_published(database: Database) -> None:
    """The live owner publishes what it stored, and nothing of the new ask is noted before."""
    wanted = ask()
    greater = ask(wanted.event_id, offset=1, attempt=2)
    async with database.open("a") as first, database.open("b") as second:
        grant = await granted(first, wanted)
        await first.ledger.finish(grant.lease, verdict("error"))
        busy = is_a(Busy, await second.ledger.claim(greater))
        await first.ledger.mark_published(grant.lease, 1)
        again = await granted(second, greater)
    assert (busy.owner, busy.same_record, busy.attempt) == ("a", True, 1)
    assert again.attempt == 2


async def test_the_same_attempt_repeats_what_failed(database: Database) -> None:
    """Only a greater attempt runs an event again."""
    wanted = ask()
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict("error"))
        assert is_a(Settled, await store.ledger.claim(ask(wanted.event_id, offset=1))).repeat


async def test_a_live_run_absorbs_a_new_ask(database: Database) -> None:
    """The run goes on for the higher attempt; its owner hears of it with the next renewal or verdict."""
    wanted = ask(deadline_ms=1)
    later = ask(wanted.event_id, offset=1, attempt=3, deadline_ms=2)
    async with database.open("a") as first, database.open("b") as second:
        grant = await granted(first, wanted)
        busy = is_a(Busy, await second.ledger.claim(later))
        once_more = is_a(Busy, await second.ledger.claim(later))
        assert await first.ledger.renew([grant.lease]) == {wanted.event_id: LeaseState(3, 2)}
        assert await first.ledger.finish(grant.lease, verdict()) == 3
        assert await first.ledger.verdicts([wanted.event_id]) == {}
        assert await first.ledger.finish(grant.lease, verdict(attempt=3)) == 3
    assert (busy.same_record, busy.attempt) == (False, 3)
    assert (once_more.same_record, once_more.attempt) == (True, 3)


@pytest.mark.parametrize("status", ["error", "failure"])
async def test_a_greater_attempt_that_meets_the_verdict_is_run(database: Database, status: str) -> None:
    """Claim and verdict in one batch: the run answers for it, or the claim is to be repeated."""
    first = [ask(offset=n) for n in range(40)]
    later = [ask(each.event_id, offset=100 + n, attempt=2) for n, each in enumerate(first)]
    async with database.open() as store:
        grants = [await granted(store, each) for each in first]

        async def claimed_beside_the_verdict(grant: Granted, wanted: Ask) -> None:
            claim, attempt = await asyncio.gather(
                store.ledger.claim(wanted), store.ledger.finish(grant.lease, verdict(status))
            )
            if attempt == 2:  # absorbed before the verdict, which was refused
                assert not is_a(Busy, claim).same_record
                return
            assert not isinstance(claim, Settled) or not claim.repeat
            assert not isinstance(claim, Busy) or claim.same_record
            await store.ledger.mark_published(grant.lease, 1)
            assert isinstance(claim, Granted) or (await granted(store, wanted)).attempt == 2

        await asyncio.gather(*map(claimed_beside_the_verdict, grants, later))


async def test_a_lower_attempt_changes_nothing_of_a_live_run(database: Database) -> None:
    """An old ask that arrives late takes neither attempt nor deadline back."""
    wanted = ask(attempt=2, deadline_ms=2)
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.ledger.claim(ask(wanted.event_id, offset=1, attempt=1, deadline_ms=1))
        assert await store.ledger.renew([grant.lease]) == {wanted.event_id: LeaseState(2, 2)}


async def test_another_payload_under_a_known_id_is_a_conflict(database: Database) -> None:
    """The first record is named, and nothing of the first asker's run is touched."""
    wanted = ask(offset=3)
    other = ask(wanted.event_id, offset=4, attempt=9, payload_hash="other")
    async with database.open() as store:
        grant = await granted(store, wanted)
        running = is_a(Conflict, await store.ledger.claim(other))
        await store.ledger.finish(grant.lease, verdict("error"))
        finished = is_a(Conflict, await store.ledger.claim(other))
        assert (await store.ledger.verdicts([wanted.event_id]))[wanted.event_id] == verdict("error")
    assert running.record == finished.record == Position("events", 0, 3)


async def test_the_record_that_drives_a_run_is_never_forgotten(database: Database) -> None:
    """However many ask beside it: taken for a new ask it would be settled, and no record would be left."""
    first = ask()
    driving = ask(first.event_id, offset=1, attempt=2)
    async with database.open("a") as store:
        grant = await granted(store, first)
        await store.ledger.finish(grant.lease, verdict("error"))
        await store.ledger.mark_published(grant.lease, 1)
        await granted(store, driving)
        for offset in range(2, 2 + ASKS_KEPT // 10):
            again = await store.ledger.claim(ask(first.event_id, offset=offset, attempt=2))
            assert not is_a(Busy, again).same_record
    async with database.open("b") as store:
        assert is_a(Busy, await store.ledger.claim(driving)).same_record


async def test_another_payload_does_not_take_a_run_that_is_free(database: Database) -> None:
    """Neither one whose owner died, nor one that failed and that a greater attempt may have."""
    died, failed = ask(), ask(offset=1)
    async with database.open("dead", timedelta(0)) as store:
        await granted(store, died)
        grant = await granted(store, failed)
        await store.ledger.finish(grant.lease, verdict("error"))
        await store.ledger.mark_published(grant.lease, 1)
    async with database.open("a") as store:
        for first in (died, failed):
            other = ask(first.event_id, offset=2, attempt=2, payload_hash="other")
            assert is_a(Conflict, await store.ledger.claim(other)).record == first.position
        assert await store.ledger.verdicts([failed.event_id]) == {failed.event_id: verdict("error")}
        assert (await granted(store, died)).attempt == 1
        assert (await granted(store, ask(failed.event_id, offset=3, attempt=2))).attempt == 2


async def test_a_known_record_is_no_conflict_however_it_is_read(database: Database) -> None:
    """A smaller size limit or another release gives it another hash: it is run and answered all the same."""
    wanted = ask()
    later = ask(wanted.event_id, offset=1)
    first, second = (replace(each, payload_hash="other") for each in (wanted, later))
    stranger = ask(wanted.event_id, offset=2, attempt=9, payload_hash="other")
    async with database.open("a") as store:
        await granted(store, wanted)
        assert not is_a(Busy, await store.ledger.claim(later)).same_record
        for known in (first, second):
            assert is_a(Busy, await store.ledger.claim(known)).same_record
    async with database.open("a", timedelta(0)) as store:
        await granted(store, first)
    async with database.open("b") as store:
        lapsed = await granted(store, second)
        is_a(Conflict, await store.ledger.claim(stranger))
        await store.ledger.release(lapsed.lease)
        assert is_a(Conflict, await store.ledger.claim(stranger)).record == second.position
        released = await granted(store, first)
        await store.ledger.finish(released.lease, verdict())
        await store.ledger.release(released.lease)
    async with database.open("c") as store:
        found = is_a(Settled, await store.ledger.claim(first))
        await store.ledger.mark_published(found.lease, 1)
        after = [is_a(Settled, await store.ledger.claim(known)) for known in (first, second)]
        is_a(Conflict, await store.ledger.claim(stranger))
        # the payload of the run stays the one that was asked for first
        assert is_a(Settled, await store.ledger.claim(ask(wanted.event_id, offset=3))).repeat
    assert (found.verdict, found.published, found.repeat) == (verdict(), False, False)
    assert [(each.verdict, each.published, each.repeat) for each in after] == [(verdict(), True, False)] * 2


async def test_a_released_run_is_free_at_once_and_costs_no_claim(database: Database) -> None:
    """An orderly hand-over does not look like a crash, and its old lease is worth nothing."""
    wanted = ask()
    async with database.open("a") as first, database.open("b") as second:
        old = await granted(first, wanted)
        await first.ledger.release(old.lease)
        assert await first.ledger.renew([old.lease]) == {}
        new = await granted(second, wanted)
        with pytest.raises(LeaseLost):
            await first.ledger.finish(old.lease, verdict())
        await first.ledger.release(old.lease)
        assert is_a(Busy, await first.ledger.claim(wanted)).owner == "b"
    assert new.claims == 1
    assert new.lease.epoch > old.lease.epoch


async def test_a_verdict_that_was_given_back_is_published_by_whoever_comes(database: Database) -> None:
    """Its owner has given up publishing it, so nobody need wait for the lease."""
    wanted = ask()
    async with database.open("a") as first, database.open("b") as second:
        old = await granted(first, wanted)
        await first.ledger.finish(old.lease, verdict())
        assert is_a(Busy, await second.ledger.claim(wanted)).owner == "a"
        await first.ledger.release(old.lease)
        assert await first.ledger.renew([old.lease]) == {}
        claim = is_a(Settled, await second.ledger.claim(wanted))
        assert (claim.verdict, claim.published, claim.repeat) == (verdict(), False, False)
        await first.ledger.mark_published(old.lease, 1)
        assert not is_a(Settled, await second.ledger.claim(wanted)).published
        await second.ledger.mark_published(claim.lease, 1)
        await second.ledger.release(claim.lease)
        assert is_a(Settled, await second.ledger.claim(wanted)).published


@pytest.mark.parametrize("owed_to", ["a redelivery", "a new ask"])
async def test_a_verdict_to_be_sent_again_has_one_sender(database: Database, owed_to: str) -> None:
    """It has a lease of its own, like a run: while that is renewed nobody else sends it a second time."""
    wanted = ask()
    async with database.open("dead", timedelta(0)) as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict())
        if owed_to == "a new ask":
            await store.ledger.mark_published(grant.lease, 1)
            wanted = ask(wanted.event_id, offset=7)
    async with database.open("a") as first, database.open("b") as second:
        owed = is_a(Settled, await first.ledger.claim(wanted))
        busy = is_a(Busy, await second.ledger.claim(wanted))
        assert await first.ledger.renew([owed.lease]) == {wanted.event_id: LeaseState(1, None)}
        await second.ledger.mark_published(grant.lease, 1)  # of an epoch that is over
        assert is_a(Busy, await second.ledger.claim(wanted)).owner == "a"
        await first.ledger.release(owed.lease)
        inherited = is_a(Settled, await second.ledger.claim(wanted))
        assert is_a(Busy, await first.ledger.claim(wanted)).owner == "b"
    assert (busy.owner, busy.same_record, owed.published) == ("a", True, False)
    assert (inherited.verdict, inherited.published, inherited.repeat) == (verdict(), False, False)


async def test_owners_that_die_are_counted(database: Database) -> None:
    """Every owner that ended without a verdict counts, until a greater attempt starts over."""
    wanted = ask()
    claims = []
    for owner in ("a", "b", "c", "d"):
        async with database.open(owner, timedelta(0)) as store:
            claims.append((await granted(store, wanted)).claims)
    async with database.open("a") as store:
        claims.append((await granted(store, ask(wanted.event_id, offset=1, attempt=2))).claims)
    assert claims == [1, 2, 3, 4, 1]


async def test_a_wait_before_a_retry_outlives_its_owner(database: Database) -> None:
    """The next owner learns how many retries were spent and how long it still has to wait."""
    wanted = ask()
    async with database.open("a") as store:
        grant = await granted(store, wanted)
        await store.ledger.schedule_retry(grant.lease, 2, timedelta(minutes=1))
        await store.ledger.release(grant.lease)
        again = await granted(store, wanted)
    assert again.retry_count == 2
    assert timedelta(seconds=50) < again.retry_in <= timedelta(minutes=1)


async def test_racing_owners_get_one_grant(database: Database) -> None:
    """Of many claims at the same time, from two owners, exactly one is granted for each event."""
    wanted = [ask(offset=n) for n in range(30)]
    async with database.open("a") as first, database.open("b") as second:
        claims = await asyncio.gather(
            *(store.ledger.claim(each) for each in wanted for store in (first, second) for _ in range(2))
        )
        grants = [claim.lease.event_id for claim in claims if isinstance(claim, Granted)]
        others = [claim for claim in claims if not isinstance(claim, Granted)]
    assert sorted(grants) == sorted(each.event_id for each in wanted)
    assert all(isinstance(claim, Busy) and claim.same_record for claim in others)


async def test_racing_takeovers_bump_the_epoch_once(database: Database) -> None:
    """A lapsed lease goes to one of those who want it."""
    wanted = ask()
    async with database.open("dead", timedelta(0)) as store:
        await granted(store, wanted)
    async with database.open("a") as first, database.open("b") as second:
        claims = await asyncio.gather(*(store.ledger.claim(wanted) for store in (first, second)))
    (grant,) = [claim for claim in claims if isinstance(claim, Granted)]
    assert grant.lease.epoch == 2


async def test_a_cancelled_claim_is_not_lost(database: Database) -> None:
    """A claim whose caller went away leaves no lease that its own process would have to wait for."""
    wanted = ask()
    async with database.open() as store:
        task = asyncio.create_task(store.ledger.claim(wanted))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert isinstance(await store.ledger.claim(wanted), Granted) is (task.cancelled())


async def test_the_store_id_is_for_ever(database: Database) -> None:
    """Everyone who opens the database reads the same id."""
    async with database.open("a") as store:
        first = store.store_id
    async with database.open("b") as store:
        assert store.store_id == first


async def test_nothing_is_asked_of_the_database_for_nothing(database: Database) -> None:
    """Empty batches answer empty."""
    async with database.open() as store:
        assert await store.ledger.renew([]) == {}
        assert await store.ledger.verdicts([]) == {}
