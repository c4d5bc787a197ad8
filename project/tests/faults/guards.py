"""Guards of the guarantee: what each is in the code, what is left without it, which test notices.

`guards_sql.py` has those that are clauses of SQL statements.
"""

from __future__ import annotations

from dataclasses import dataclass

_PIPELINE = "langgraph_integration/pipeline"
_TESTS = "project/tests/langgraph_integration/pipeline"


@dataclass(frozen=True, slots=True)
class Guard:
    """`file` is below project/; each text of `guarded` becomes its counterpart in `bare`. `sign` is what the
    failing test says for want of the guard, and for no other reason: that it waited in vain is no sign.
    """

    name: str
    file: str
    guarded: tuple[str, ...]
    bare: tuple[str, ...]
    test: str
    sign: str

    @property
    def on_postgres(self) -> bool:
        return self.test.endswith("[postgres]")


GUARDS = (
    Guard(
        "settle before commit",
        f"{_PIPELINE}/dispatcher.py",
        (
            "            await self._handler.handle(delivery, slot)\n"
            "            self._tracker.settle(delivery.position, delivery.generation)\n",
        ),
        (
            "            self._tracker.settle(delivery.position, delivery.generation)\n"
            "            await self._handler.handle(delivery, slot)\n",
        ),
        f"{_TESTS}/test_dispatcher.py::test_a_slow_run_holds_the_commit_and_nothing_else",
        ">       assert held_at == 0",
    ),
    Guard(
        "epoch on the ledger",
        "langgraph_integration/store/memory.py",
        ("command.verdict\n        if row is None or row.epoch != command.lease.epoch:\n",),
        ("command.verdict\n        if row is None:\n",),
        "project/tests/contract/test_run_ledger.py::test_a_lapsed_lease_is_taken_over[memory]",
        "DID NOT RAISE LeaseLost",
    ),
    Guard(
        "epoch on checkpoints",
        "langgraph_integration/store/sqlite_checkpoints.py",
        ("if epoch is not None and self._epochs.get(thread_id) != epoch:",),
        ("if epoch is not None and thread_id is None:",),
        "project/tests/contract/test_saver.py::test_a_zombie_writes_nothing[sqlite]",
        "DID NOT RAISE LeaseLost",
    ),
    Guard(
        "outbox",
        f"{_PIPELINE}/handler.py",
        ("verdict = await self._store(delivery, asked, live, outcome)",),
        ("verdict = self._publisher.write(delivery, asked, live.attempt, outcome)",),
        f"{_TESTS}/test_handler.py"
        "::test_a_verdict_that_was_stored_and_not_published_is_published_by_the_next_owner",
        ">       assert ran == []",
    ),
    Guard(
        "published mark",
        f"{_PIPELINE}/publisher.py",
        ('await self._gate.insist("store", lambda: self._ledger.mark_published(lease, verdict.attempt))',),
        ('await self._gate.insist("store", lambda: self._ledger.release(lease))',),
        f"{_TESTS}/test_handler.py::test_the_same_record_again_after_its_verdict_is_passed_over",
        ">       assert second.sink.order == []",
    ),
    Guard(
        "resume instead of input",
        "langgraph_integration/graphs/runner.py",
        ("        if state.created_at is None:\n",),
        ("        if state is not None:\n",),
        "project/tests/faults/test_resume.py::test_a_run_goes_on_from_any_write_that_was_its_last",
        '>       assert state["path"] == list(NODES)',
    ),
    Guard(
        "size check",
        f"{_PIPELINE}/verdict.py",
        ("if record is not None and len(record) > self._sink.result_limit_bytes:",),
        ("if record is None and asked.event_id is None:",),
        f"{_TESTS}/test_endings.py::test_a_result_too_large_for_its_topic_is_an_error",
        '>       assert "its topic takes 4000" in result.error',
    ),
    Guard(
        "payload hash",
        "langgraph_integration/store/runs.py",
        ("return row.payload_hash != ask.payload_hash and not knows(row.record, row.asks, ask.position)",),
        ("return not row.payload_hash",),
        f"{_TESTS}/test_endings.py"
        "::test_another_payload_under_a_known_id_is_a_conflict_and_leaves_the_first_asker_alone",
        ">       (letter,) = rig.sink.letters()",
    ),
    Guard(
        "payload hash of a known record",
        "langgraph_integration/store/runs.py",
        ("return row.payload_hash != ask.payload_hash and not knows(row.record, row.asks, ask.position)",),
        ("return row.payload_hash != ask.payload_hash",),
        f"{_TESTS}/test_invalid_records.py"
        "::test_an_event_that_its_next_owner_may_not_read_gets_an_error_and_no_conflict",
        ">       (result,), (letter,) = second.sink.decoded(), second.sink.letters()",
    ),
    Guard(
        "claims limit",
        f"{_PIPELINE}/attempts.py",
        ("if granted.claims > self._max_claims:",),
        ("if granted.claims < 0:",),
        f"{_TESTS}/test_endings.py::test_an_event_that_killed_its_process_too_often_is_given_up",
        ">       (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()",
    ),
    Guard(
        "dead-letter failure is a retry",
        f"{_PIPELINE}/outbox.py",
        ('            await self._gate.insist("publish", send)\n        except',),
        (
            "            await parcel.send()\n"
            "        except BrokerUnavailable:\n"
            "            return verdict\n"
            "        except",
        ),
        f"{_TESTS}/test_endings.py::test_a_dead_letter_topic_that_is_away_is_waited_for",
        "CAPTURE: event settled: error",
    ),
    Guard(
        "await every send",
        "langgraph_integration/broker/records.py",
        ("refused = await acknowledged\n",),
        ("refused = None\n",),
        "project/tests/faults/test_sends.py::test_a_record_counts_as_sent_when_the_broker_has_said_so",
        ">       assert not done",
    ),
    Guard(
        "bounded stop",
        "langgraph_integration/broker/leaving.py",
        ("done, _ = await asyncio.wait({task}, timeout=limit_s)",),
        ("done, _ = await asyncio.wait({task})",),
        "project/tests/faults/test_sends.py::test_a_client_that_does_not_stop_is_left_behind",
        "AssertionError: the stop waits for the client",
    ),
)
