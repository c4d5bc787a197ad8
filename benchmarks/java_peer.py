"""Confluent's parallel-consumer: its jars, copied once out of Maven Central into a cache outside the tree."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from benchmarks.task import Task

_SOURCE = Path(__file__).parent / "java"
_JARS = Path.home() / ".cache" / "langgraph-kafka" / "parallel-consumer-0.5.3.2"
_LIMIT_S = 300.0


@cache
def why_missing() -> str:
    """What keeps it from running here, or nothing. Fetches its jars at the first call."""
    java = shutil.which("java")
    if java is None:
        return "no Java"
    modules = subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=False).stdout
    if "jdk.compiler" not in modules:
        return "this Java has no compiler (a JDK is needed)"
    if _JARS.is_dir():
        return ""
    maven = shutil.which("mvn")
    return "Maven is needed for its jars, once" if maven is None else _copy_jars(maven)


def _copy_jars(maven: str) -> str:
    _JARS.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_JARS.parent) as folder:
        done = subprocess.run(
            [
                *(maven, "--batch-mode", "--quiet", "--file", str(_SOURCE / "pom.xml")),
                *("dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
        if done.returncode != 0:
            return f"Maven did not bring its jars: {done.stdout[-300:]}"
        Path(folder, "jars").rename(_JARS)
    return ""


def command(task: Task) -> list[str]:
    """Its process: Java compiles the one source file in memory."""
    program = ["java", "-Xmx512m", "-cp", f"{_JARS}/*", str(_SOURCE / "ParallelConsumer.java")]
    where = [task.servers, task.events, task.results, task.group, str(task.slots), str(task.path / "marks")]
    return [*program, *where]
