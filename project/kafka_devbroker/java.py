"""Where Java and the jars of the Apache Kafka server come from."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from kafka_devbroker.errors import BrokerUnavailable

log = logging.getLogger(__name__)

_OLDEST_JAVA = 17  # Kafka 4 servers need it (KIP-1013)
_POM = Path(__file__).with_name("kafka-pom.xml")
_RESOLVE_TIMEOUT = 600.0  # seconds; 45 MB from Maven Central


def find_java() -> str:
    """The path of a Java that runs Kafka 4: JAVA_HOME's, else that on PATH. BrokerUnavailable without one."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    version = _java_version(java) if java else 0
    if java is None or version < _OLDEST_JAVA:
        found = f"found {version}" if version else "not found"
        raise BrokerUnavailable(
            f"Apache Kafka needs Java {_OLDEST_JAVA} ({found}): "
            "install openjdk-17-jre-headless or set JAVA_HOME"
        )
    return java


def why_no_jars() -> str | None:
    """What keeps us from having the jars, with the way out, or None. Fetches nothing."""
    if os.environ.get("KAFKA_HOME") or _cached_jars().is_dir() or shutil.which("mvn"):
        return None
    return "Apache Kafka's jars need Maven, once: install maven, or set KAFKA_HOME to an unpacked Kafka 4"


def kafka_jars() -> Path:
    """The folder with the jars: KAFKA_HOME's, else our cache, filled from Maven Central at the first call.

    Raises BrokerUnavailable with Maven's last words when they cannot be had.
    """
    home = os.environ.get("KAFKA_HOME")
    if home:
        libs = Path(home) / "libs"
        if not libs.is_dir():
            raise BrokerUnavailable(f"KAFKA_HOME={home} has no folder `libs`: it must be an unpacked Kafka 4")
        return libs
    jars = _cached_jars()
    if not jars.is_dir():
        _resolve(jars)
    return jars


def _cached_jars() -> Path:
    version = re.search(r"<kafka\.version>(.+?)</", _POM.read_text())
    assert version is not None
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache_home) / "langgraph-kafka" / f"kafka-{version[1]}"


def _resolve(jars: Path) -> None:
    problem = why_no_jars()
    if problem:
        raise BrokerUnavailable(problem)
    log.info("fetching Apache Kafka's jars with Maven (45 MB, once)", extra={"action": "fetch"})
    jars.parent.mkdir(parents=True, exist_ok=True)
    # Filled aside and renamed: an interrupted run leaves no half-filled cache behind.
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix=".fetching-") as folder:
        filling = Path(folder) / "jars"
        command = ["mvn", "--batch-mode", "--quiet", f"--file={_POM}", "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={filling}", "-DincludeScope=runtime"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_RESOLVE_TIMEOUT)
        except subprocess.CalledProcessError as failed:
            words = failed.stdout[-2000:]
            raise BrokerUnavailable(f"Maven could not fetch Kafka's jars:\n{words}") from failed
        except subprocess.TimeoutExpired as slow:
            raise BrokerUnavailable(f"Maven took more than {_RESOLVE_TIMEOUT:g} s; try again") from slow
        try:
            filling.rename(jars)
        except OSError:
            # Another process was quicker; its copy is as good.
            if not jars.is_dir():
                raise
    log.info("Apache Kafka's jars are in %s", jars, extra={"action": "fetched"})


@cache
def _java_version(java: str) -> int:
    """The feature number of a Java (17, 21 ...); 0 if it does not say."""
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    number = re.search(r'version "(?:1\.)?(\d+)', answer)
    return int(number[1]) if number else 0
