"""The guards that are clauses of SQL statements: one text in two dialects, each tried on both databases."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.guards import Guard

_SQL = "langgraph_integration/store/sql.py"
_LEDGER = "project/tests/contract/test_run_ledger.py"
_TAKEN_OVER = f"{_LEDGER}::test_a_lapsed_lease_is_taken_over"
_GIVEN_BACK = f"{_LEDGER}::test_a_verdict_that_was_given_back_is_published_by_whoever_comes"
_REPLACED = f"{_LEDGER}::test_a_verdict_is_replaced_only_by_who_may_publish_it"


@dataclass(frozen=True, slots=True)
class _Clause:
    """`bare` takes the same parameters as `guarded`, or the statement would fail for want of one."""

    name: str
    guarded: str
    bare: str
    test: str
    sign: str = "DID NOT RAISE"


_CLAUSES = (
    _Clause(
        "epoch of a verdict",
        "WHERE event_id = {p} AND epoch = {p} AND status IS NULL AND attempt <= {p}",
        "WHERE event_id = {p} AND {p} > 0 AND status IS NULL AND attempt <= {p}",
        _TAKEN_OVER,
    ),
    _Clause(
        "one verdict for a run",
        "AND epoch = {p} AND status IS NULL AND attempt <= {p}",
        "AND epoch = {p} AND attempt <= {p}",
        f"{_LEDGER}::test_a_verdict_is_stored_once",
        "result=b'second'",
    ),
    _Clause(
        "attempt of a verdict",
        "AND epoch = {p} AND status IS NULL AND attempt <= {p}",
        "AND epoch = {p} AND status IS NULL AND {p} > 0",
        f"{_LEDGER}::test_a_live_run_absorbs_a_new_ask",
        "assert 1 == 3",
    ),
    _Clause(
        "epoch of a replacement",
        "WHERE event_id = {p} AND epoch = {p} AND NOT published\n    AND attempt",
        "WHERE event_id = {p} AND {p} > 0 AND NOT published\n    AND attempt",
        _REPLACED,
    ),
    _Clause(
        "no replacement after the publication",
        "WHERE event_id = {p} AND epoch = {p} AND NOT published\n    AND attempt",
        "WHERE event_id = {p} AND epoch = {p}\n    AND attempt",
        _REPLACED,
    ),
    _Clause(
        "epoch of a retry",
        "retry_at = {now} + {p} WHERE event_id = {p} AND epoch = {p}",
        "retry_at = {now} + {p} WHERE event_id = {p} AND {p} > 0",
        _TAKEN_OVER,
    ),
    _Clause(
        "epoch of the published mark",
        "WHERE event_id = {p} AND epoch = {p} AND attempt = {p} AND status IS NOT NULL",
        "WHERE event_id = {p} AND {p} > 0 AND attempt = {p} AND status IS NOT NULL",
        _GIVEN_BACK,
        "assert not True",
    ),
    _Clause(
        "epoch of a release",
        'WHERE event_id = {p} AND epoch = {p} AND NOT published\n"""',
        'WHERE event_id = {p} AND {p} > 0 AND NOT published\n"""',
        f"{_LEDGER}::test_a_released_run_is_free_at_once_and_costs_no_claim",
        "expected Busy, got Granted",
    ),
    _Clause(
        "payload hash of a grant",
        "WHERE (runs.payload_hash = excluded.payload_hash OR {_KNOWN}) AND (",
        "WHERE (",
        f"{_LEDGER}::test_another_payload_does_not_take_a_run_that_is_free",
        "expected Conflict, got Granted",
    ),
    _Clause(
        "payload hash of a grant for a known record",
        "WHERE (runs.payload_hash = excluded.payload_hash OR {_KNOWN}) AND (",
        "WHERE runs.payload_hash = excluded.payload_hash AND (",
        f"{_LEDGER}::test_a_known_record_is_no_conflict_however_it_is_read",
        "expected Granted, got Busy",
    ),
)

SQL_GUARDS = (
    *(
        Guard(
            f"{clause.name} ({database})",
            _SQL,
            (clause.guarded,),
            (clause.bare,),
            f"{clause.test}[{database}]",
            clause.sign,
        )
        for clause in _CLAUSES
        for database in ("sqlite", "postgres")
    ),
    Guard(
        "epoch of a renewal (sqlite)",
        "langgraph_integration/store/sqlite_session.py",
        (
            "WHERE (event_id, epoch) IN (",
            "json_extract(value, '$[0]'), json_extract(value, '$[1]')",
        ),
        ("WHERE event_id IN (", "json_extract(value, '$[0]')"),
        f"{_TAKEN_OVER}[sqlite]",
        "== {}",
    ),
    Guard(
        "epoch of a renewal (postgres)",
        "langgraph_integration/store/postgres_session.py",
        ("ON event_id = id AND epoch = held",),
        ("ON event_id = id",),
        f"{_TAKEN_OVER}[postgres]",
        "== {}",
    ),
    Guard(
        "epoch on checkpoints (postgres)",
        "langgraph_integration/store/postgres_batch.py",
        ("if epoch is None or self._epochs.get(key) == epoch:",),
        ("if epoch is None or key is not None:",),
        "project/tests/contract/test_saver.py::test_a_zombie_writes_nothing[postgres]",
        "DID NOT RAISE",
    ),
)
