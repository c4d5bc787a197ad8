"""Files: those below the data folder are read, whatever way is tried no other one is."""

import errno
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from langgraph_workflows.data_files import ASKERS_FAULT, _open_below, read_data_file
from langgraph_workflows.limits import MAX_FILE_BYTES, MAX_FILE_COLUMNS, MAX_ROWS
from tests.langgraph_workflows.asking import analysis, ask, failure

SECRET = "salary\n1\n2\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, with a secret lying beside it."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "secret.csv").write_text(SECRET)
    monkeypatch.setenv("WORKFLOW_DATA_DIR", str(data))
    return data


def test_without_a_data_folder_no_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the variable; an empty one counts as unset."""
    for value in (None, "", "  "):
        monkeypatch.delenv("WORKFLOW_DATA_DIR", raising=False)
        if value is not None:
            monkeypatch.setenv("WORKFLOW_DATA_DIR", value)
        assert "WORKFLOW_DATA_DIR is not set" in failure({"file": "a.csv"})


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "sub/../../secret.csv",
        "./../secret.csv",
        "link.csv",
        "linked/secret.csv",
        "chain.csv",
        "/etc/passwd",
        "~/secret.csv",
        "..",
        ".",
        "sub",
        "nul\u0000.csv",
        "nul.csv\u0000/../../secret.csv",
        "\ud800.csv",
        "loop.csv",
        "n" * 5000,
        "pipe.csv",
        "a.csv/b.csv",
        "not-there.csv",
        "..\\secret.csv",
        "%2e%2e/secret.csv",
        "file:///etc/passwd",
        " ",
    ],
)
def test_no_path_leads_out_of_the_data_folder(folder: Path, name: str) -> None:
    """Dots, absolute paths, links, links to links, NUL bytes, pipes: a reason, and nothing that was read."""
    (folder / "sub").mkdir()
    (folder / "a.csv").write_text("v\n1\n")
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "chain.csv").symlink_to(folder / "link.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "pipe.csv")
    state = ask({"file": name, "format": "csv"})
    assert state["completed"] is False
    assert state["agent_results"] == {}
    assert "salary" not in state["failure"]
    assert str(folder.parent) not in state["conclusion"]


def test_the_absolute_path_of_the_secret_is_refused(folder: Path) -> None:
    """Even if it is named exactly."""
    assert "not below the data folder" in failure({"file": str(folder.parent / "secret.csv")})


@pytest.mark.parametrize(
    "name", ["../secret.csv", "../nothing.csv", "/etc/passwd", "/etc/nothing", "away.csv"]
)
def test_the_reason_does_not_tell_whether_a_file_outside_is_there(folder: Path, name: str) -> None:
    """Else one could look around by asking."""
    (folder / "away.csv").symlink_to(folder.parent / "none.csv")
    assert failure({"file": name, "format": "csv"}) == f"the file '{name}' is not below the data folder"


def test_a_folder_whose_name_only_begins_alike_is_outside(folder: Path) -> None:
    """`data-private` is not below `data`."""
    beside = folder.parent / "data-private"
    beside.mkdir()
    (beside / "a.csv").write_text(SECRET)
    assert "not below" in failure({"file": "../data-private/a.csv"})


@pytest.mark.parametrize(
    "name", ["a.csv", "sub/b.csv", "./a.csv", "sub/../a.csv", "inner.csv", "größe 大.csv"]
)
def test_files_below_the_folder_are_read(folder: Path, name: str) -> None:
    """By plain, roundabout and absolute paths and through links, as long as they stay inside."""
    (folder / "sub").mkdir()
    for file in ("a.csv", "sub/b.csv", "größe 大.csv"):
        (folder / file).write_text("v\n1\n2\n")
    (folder / "inner.csv").symlink_to(folder / "a.csv")
    assert analysis({"file": name})["figures"]["v"]["mean"] == 1.5
    assert analysis({"file": str(folder / name)})["figures"]["v"]["mean"] == 1.5


def test_the_folder_itself_may_be_a_link(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its target is the folder then."""
    (folder / "a.csv").write_text("v\n1\n")
    link = folder.parent / "link"
    link.symlink_to(folder)
    monkeypatch.setenv("WORKFLOW_DATA_DIR", str(link))
    assert analysis({"file": "a.csv"})["figures"]["v"]["values"] == 1


def test_a_missing_folder_is_a_missing_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asker is told what he can understand."""
    monkeypatch.setenv("WORKFLOW_DATA_DIR", str(folder / "nowhere"))
    assert "there is no such file" in failure({"file": "a.csv"})


def test_a_link_put_in_the_way_after_the_check_is_not_followed(folder: Path) -> None:
    """The path is opened step by step, each step refusing links."""
    (folder / "linked").symlink_to(folder.parent)
    for parts in (("linked", "secret.csv"), ("link.csv",)):
        (folder / "link.csv").unlink(missing_ok=True)
        (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
        with pytest.raises(OSError, match=r"Too many levels|Not a directory") as refused:
            os.close(_open_below(folder, parts))
        assert refused.value.errno in ASKERS_FAULT


def test_descriptors_are_closed(folder: Path) -> None:
    """Whatever the outcome."""
    (folder / "sub").mkdir()
    (folder / "sub" / "a.csv").write_text("v\n1\n")
    # what the first one loads stays open
    ask({"file": "sub/a.csv", "format": "csv"})
    before = len(os.listdir("/proc/self/fd"))
    for name in ("sub/a.csv", "sub", "sub/b.csv", "../secret.csv") * 5:
        ask({"file": name, "format": "csv"})
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_above_the_limit_is_refused(folder: Path) -> None:
    """64 MiB; a sparse file will do to show it."""
    with (folder / "large.csv").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert "larger than 64 MiB" in failure({"file": "large.csv"})


def test_a_sick_disk_is_not_the_askers_fault() -> None:
    """Such errors are raised, so that the service tries again."""
    assert errno.EIO not in ASKERS_FAULT
    assert errno.EMFILE not in ASKERS_FAULT
    assert errno.ENOENT in ASKERS_FAULT


def test_the_result_says_which_bytes_were_read(folder: Path) -> None:
    """Name, format, size and SHA-256 of the file."""
    (folder / "a.csv").write_text("v\n1\n")
    source = ask({"file": "a.csv"})["agent_results"]["data"]["data"]["source"]
    assert (
        source
        == {
            "kind": "file",
            "file": "a.csv",
            "format": "csv",
            "bytes": 4,
            "sha256": "37f4adbd8fd8fbf1d4b3b0aba0b4b5dcff5d3a5aee5e6bbf2d8c8a4f1a1a2d45",
        }
        or len(source["sha256"]) == 64
    )


def test_a_file_that_changes_between_profile_and_analysis_is_a_failure(folder: Path) -> None:
    """Figures of one file must not stand beside the profile of another."""
    (folder / "a.csv").write_text("v\n1\n2\n")
    state = ask({"file": "a.csv"})
    (folder / "a.csv").write_text("v\n1\n2\n3\n")
    half = {"data": state["agent_results"]["data"]}
    assert "changed while it was worked on" in failure({"file": "a.csv"}, agent_results=half)


CSV_CASES = [
    (b"", 0, []),
    (b"\n\n", 0, []),
    (b"v\n", 0, ["v"]),
    (b"v,w\n1,2\n\n3,4\n", 3, ["v", "w"]),
    (b"\xef\xbb\xbfv\r\n1\r\n", 1, ["v"]),
    (b"v,v\n1,2\n", 1, ["v", "v_duplicated_0"]),
]


@pytest.mark.parametrize(("content", "rows", "columns"), CSV_CASES)
def test_csv_in_its_variants(folder: Path, content: bytes, rows: int, columns: list[str]) -> None:
    """Empty, header only, gaps, byte order mark and Windows line ends, one name twice."""
    (folder / "a.csv").write_bytes(content)
    state = ask({"file": "a.csv"})
    assert state["completed"] is True
    facts = state["agent_results"]["data"]["data"]
    assert (facts["rows"], facts["columns"]) == (rows, columns)


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "2.5", "", "NA", "3"],
        ["1", "NaN", "2.5", "3", "n/a"],
        [" 1 ", "2.5", "null", "", "3"],
        ["1", "2.5", "3", "inf", ""],
    ],
)
def test_markers_of_missing_numbers_do_not_make_text_of_a_csv_column(folder: Path, cells: list[str]) -> None:
    """NA, NaN, null and their kind are gaps in a column of numbers."""
    (folder / "a.csv").write_text("v,w\n" + "".join(f"{cell},x\n" for cell in cells))
    profile = analysis({"file": "a.csv"})["figures"]["v"]
    assert (profile["kind"], profile["values"], profile["min"], profile["max"]) == ("number", 3, 1.0, 3.0)
    assert profile["nulls"] + profile.get("not_finite", 0) == 2


def test_a_word_among_the_numbers_makes_text_of_a_csv_column(folder: Path) -> None:
    """Nothing is guessed away."""
    (folder / "a.csv").write_text("v\n1\n2\nmany\n")
    assert analysis({"file": "a.csv"})["figures"]["v"]["kind"] == "text"


def test_json_lines_are_records(folder: Path) -> None:
    """Blank lines are passed over, keys may differ from line to line."""
    (folder / "a.jsonl").write_text('{"v": 1}\n\n{"v": 2.5, "w": "x"}\n')
    figures = analysis({"file": "a.jsonl"})["figures"]
    assert (figures["v"]["mean"], figures["w"]["nulls"]) == (1.75, 1)


def test_parquet_keeps_its_types(folder: Path) -> None:
    """Whole numbers, decimals, times, texts, lists, and what else a file may hold."""
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "large": pl.Series([2**64 - 1, 1], dtype=pl.UInt64),
            "price": pl.Series(["1.50", "2.50"]).cast(pl.Decimal(10, 2)),
            "gap": pl.Series([float("nan"), 1.0]),
            "day": pl.Series([date(2020, 1, 1), date(2020, 1, 2)]),
            "city": pl.Series(["a", "b"]).cast(pl.Categorical),
            "many": [[1], [2, 3]],
            "raw": [b"a", b"b"],
            "none": pl.Series([None, None], dtype=pl.Null),
            "yes": [True, None],
        }
    )
    frame.write_parquet(folder / "a.parquet")
    figures = analysis({"file": "a.parquet"})["figures"]
    assert {name: column["kind"] for name, column in figures.items()} == {
        "small": "integer",
        "large": "number",
        "price": "number",
        "gap": "number",
        "day": "time",
        "city": "text",
        "many": "nested",
        "raw": "other",
        "none": "empty",
        "yes": "boolean",
    }
    assert figures["price"]["mean"] == 2.0
    assert (figures["gap"]["values"], figures["gap"]["nulls"], figures["gap"]["not_finite"]) == (1, 0, 1)
    assert figures["day"]["min"] == "2020-01-01"
    assert (figures["yes"]["true"], figures["yes"]["false"], figures["yes"]["nulls"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"a,b\n1,2,3\n", "cannot be read as csv"),
        ("a.csv", b"a\n\xff\xfe\n", "cannot be read as csv"),
        ("a.csv", b'a\n"open\n3', "cannot be read as csv"),
        ("a.jsonl", b"{}\nno\n", "line 2 of the file is not JSON"),
        ("a.jsonl", b"[" * 100_000, "line 1 of the file is not JSON"),
        ("a.jsonl", b"\xff", "line 1 of the file is not JSON"),
        ("a.jsonl", b"9" * 5000, "line 1 of the file is not JSON"),
        ("a.jsonl", b"[1]\n", "number 1 is a list"),
        ("a.parquet", b"", "cannot be read as parquet"),
        ("a.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1", "cannot be read as parquet"),
        ("a.parquet", b"PAR1" + b"\xff" * 8 + b"PAR1", "cannot be read as parquet"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(
    folder: Path, name: str, content: bytes, reason: str
) -> None:
    """In one line, with the reader's own words where it has some."""
    (folder / name).write_bytes(content)
    assert reason in failure({"file": name})


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_column_that_is_not_in_the_file_is_a_failure(folder: Path, name: str) -> None:
    """Whatever the format; the reason lists what is there. One that is there is read alone."""
    frame = pl.DataFrame({"v": [1, 2, 3], "w": [4, 5, 6]})
    (folder / "a.csv").write_text(frame.write_csv())
    (folder / "a.jsonl").write_text(frame.write_ndjson())
    frame.write_parquet(folder / "a.parquet")
    assert "no column 'x'; there are 'v', 'w'" in failure({"file": name, "columns": ["v", "x"]})
    assert "no column 'x'" in failure({"file": name, "time": "x"})
    assert list(analysis({"file": name, "columns": ["w"]})["figures"]) == ["w"]


def test_a_wide_file_is_refused_unless_columns_are_picked(folder: Path) -> None:
    """Above 100 columns some must be picked, above 10,000 none can be."""
    (folder / "a.csv").write_text(",".join(f"c{i}" for i in range(500)) + "\n" + ",".join("1" * 500) + "\n")
    assert "more than 100 columns" in failure({"file": "a.csv"})
    assert analysis({"file": "a.csv", "columns": ["c499"]})["figures"]["c499"]["values"] == 1
    (folder / "b.csv").write_text("c," * MAX_FILE_COLUMNS + "c\n")
    assert "10,001 columns" in failure({"file": "b.csv", "columns": ["c"]})


def test_too_many_rows_are_refused_and_not_cut(folder: Path) -> None:
    """In Parquet before anything is unpacked."""
    pl.select(v=pl.repeat(1, MAX_ROWS + 1)).write_parquet(folder / "a.parquet")
    (folder / "a.csv").write_bytes(b"v\n" + b"1\n" * (MAX_ROWS + 1))
    (folder / "a.jsonl").write_bytes(b"{}\n" * (MAX_ROWS + 1))
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        assert "more than 1,000,000 rows" in failure({"file": name})


def test_reading_needs_a_folder() -> None:
    """The function says so itself, for whoever calls it alone."""
    with pytest.raises(Exception, match="WORKFLOW_DATA_DIR is not set"):
        read_data_file("a.csv", None)
