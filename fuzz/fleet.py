"""Breaks a fleet by a seeded schedule, and reads from the platform's ledger what became of all.

Four hosts and 200 sessions that talk; hosts, gateways and the directory are killed, one host is
frozen for ten seconds, others drain, and the program is deployed anew. ``--demo``: two hosts, 100
sessions, one host killed, and a table of what happened to each session.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_kill_worker_timeout_milliseconds": "500"}
ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests" / "with_fleet"
PORT = 8137
#: No session may be without sound for so long, at the end.
SILENCE_S = 10.0
SETTLE_S = 15.0


def descendants(title: str) -> list[int]:
    """Return the processes of this run whose title begins so."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                titles[int(entry.name)] = (entry / "cmdline").read_text()
    found = []
    for pid, line in titles.items():
        each = pid
        while each in parents and each != os.getpid():
            each = parents[each]
        if each == os.getpid() and line.startswith(title):
            found.append(pid)
    return found


class Run:
    """One run against one platform."""

    def __init__(self, http: httpx.Client, ledger_url: str, seed: int) -> None:
        self.http = http
        self.ledger_url = ledger_url
        self.random = random.Random(seed)
        self.deaths: list[tuple[float, str, str]] = []
        self.frozen: list[tuple[float, int]] = []

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Ask a gateway, again while one is being replaced."""
        for _ in range(100):
            with contextlib.suppress(httpx.HTTPError):
                answer = self.http.get(path)
                if answer.is_success:
                    return answer.json()
            time.sleep(0.2)
        raise RuntimeError(f"{path} is not answered")

    def start(self, count: int) -> None:
        """Start sessions, eight at a time."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        def one(_: int) -> int:
            return self.http.post("/sessions", json={"avatar_id": "a"}).status_code

        began_s = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            codes = Counter(pool.map(one, range(count)))
        seconds = time.monotonic() - began_s
        print(f"{count} starts in {seconds:.1f} s: {dict(codes)}, {count / seconds:.0f} a second")

    def host(self) -> dict[str, Any] | None:
        """Choose a host that takes sessions, while another one does too."""
        hosts = [each for each in self.get("/hosts") if not each["is_draining"]]
        return self.random.choice(hosts) if len(hosts) > 1 else None

    def kill_host(self) -> None:
        """Kill a host."""
        if (host := self.host()) is not None:
            self.deaths.append((time.monotonic(), host["host"], "killed"))
            os.kill(host["pid"], signal.SIGKILL)

    def freeze_host(self) -> None:
        """Stop a host for ten seconds."""
        if (host := self.host()) is not None:
            self.deaths.append((time.monotonic(), host["host"], "frozen"))
            os.kill(host["pid"], signal.SIGSTOP)
            self.frozen.append((time.monotonic() + 10, host["pid"]))

    def thaw(self) -> None:
        """Let hosts go on whose ten seconds are over."""
        for each in [each for each in self.frozen if each[0] <= time.monotonic()]:
            self.frozen.remove(each)
            with contextlib.suppress(ProcessLookupError):
                os.kill(each[1], signal.SIGCONT)

    def drain_host(self) -> None:
        """Drain a host."""
        if (host := self.host()) is not None:
            with contextlib.suppress(httpx.HTTPError):
                self.http.post(f"/hosts/{host['host']}/drain")

    def kill_gateway(self) -> None:
        """Kill a gateway."""
        for pid in descendants("ray::ServeReplica:fleet:Gateway")[:1]:
            os.kill(pid, signal.SIGKILL)

    def kill_directory(self) -> None:
        """Kill the directory."""
        for pid in descendants("ray::FleetDirectory"):
            os.kill(pid, signal.SIGKILL)

    def ledger(self) -> list[dict[str, Any]]:
        """Return what the platform knows."""
        entries: list[dict[str, Any]] = httpx.get(self.ledger_url, timeout=60).json()
        return entries


def deploy(hosts: int) -> None:
    """Run the program, or a new version of it."""
    from ray import serve  # noqa: PLC0415
    from talking import handle  # noqa: PLC0415

    from avatarwire import fleet  # noqa: PLC0415

    built = fleet.application(handle, hosts=hosts, gateways=2, max_sessions=100)
    serve.run(built, name="fleet", route_prefix="/", blocking=False)


def verdict(run: Run, wanted: int, *, demo: bool) -> int:
    """Tell what became of each session; return how many promises were broken."""
    now_s = time.monotonic()
    ledger = {each["session_id"]: each for each in run.ledger()}
    sessions = run.get("/sessions")
    owned_twice = silent = untold = 0
    kinds: Counter[str] = Counter()
    rows = []
    for session in sessions:
        entry = ledger[session["session_id"]]
        pairs = set(zip(entry["epochs"], entry["owners"], strict=True))
        if entry["epochs"] != sorted(entry["epochs"]) or len(pairs) != len(set(entry["epochs"])):
            owned_twice += 1
        if session["state"] == "running":
            quiet_s = now_s - entry["speech"][-1]["last_s"] if entry["speech"] else float("inf")
            silent += quiet_s > SILENCE_S
            kind = f"runs, resumed {session['resumed']} times" if session["resumed"] else "runs"
        else:
            untold += not session["ending"]
            kind = f"ended: {session['ending']}"
        kinds[kind] += 1
        rows.append((session["id"][:8], " > ".join(entry["owners"]), kind))
    again_s = back_to_speech(run.deaths, list(ledger.values()))
    again_s.sort()
    if demo:
        for row in rows:
            print("  ".join(row))
    for kind, count in sorted(kinds.items()):
        print(f"{count:5} {kind}")
    vanished = wanted - len(sessions)
    unknown = len(set(ledger) - {each["session_id"] for each in sessions})
    print(f"owned twice: {owned_twice}; in silence: {silent}; ended without a reason: {untold}")
    print(f"vanished: {vanished}; at the platform alone: {unknown}")
    if again_s:
        p50, p99 = (again_s[int(len(again_s) * part)] for part in (0.5, 0.99))
        print(
            f"from a host's death to speech again, {len(again_s)} times: p50 {p50:.2f} s,"
            f" p99 {p99:.2f} s, longest {again_s[-1]:.2f} s"
        )
    return owned_twice + silent + untold + vanished


def back_to_speech(
    deaths: list[tuple[float, str, str]], entries: list[dict[str, Any]]
) -> list[float]:
    """Return how long each session of a dead host was without sound; print it for each death."""
    times = []
    # A start that never came to a connection leaves open which start a connection belongs to.
    clear = [each for each in entries if len(each["owners"]) == len(each["speech"])]
    print(f"{len(entries) - len(clear)} sessions with a start that came to nothing are not timed")
    for at_s, host, how in deaths:
        ready_s, again_s = [], []
        for entry in clear:
            owned = zip(entry["owners"], entry["speech"], strict=True)
            for (owner, before), (_, after) in itertools.pairwise(owned):
                if owner == host and before["ready_s"] < at_s < (after["first_s"] or 0):
                    ready_s.append(after["ready_s"] - at_s)
                    again_s.append(after["first_s"] - at_s)
        if again_s:
            print(
                f"host {host} {how}: {len(again_s)} sessions, connected again after"
                f" {min(ready_s):.2f} to {max(ready_s):.2f} s, heard again after"
                f" {min(again_s):.2f} to {max(again_s):.2f} s"
            )
        times += again_s
    return times


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--sessions", type=int, default=200)
    options = parser.parse_args()
    if options.demo:
        options.hosts, options.sessions = 2, 100
    platform = subprocess.Popen(  # noqa: S603
        [sys.executable, str(HERE / "local_platform.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        return _run(options, platform)
    finally:
        platform.terminate()


def _run(options: argparse.Namespace, platform: "subprocess.Popen[str]") -> int:
    assert platform.stdout is not None
    url, ledger_url = (platform.stdout.readline().strip() for _ in range(2))
    os.environ |= {"AVATARWIRE_URL": url, "AVATARWIRE_API_KEY": "sk-secret-key"}
    os.environ["PYTHONPATH"] = str(HERE)
    sys.path.insert(0, str(HERE))

    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    from avatarwire.fleet import running  # noqa: PLC0415

    ray.init(
        address="local",
        num_cpus=2 * options.hosts + 2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": PORT}, logging_config={"log_level": "ERROR"}
        )
        deploy(options.hosts)
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as http:
            run = Run(http, ledger_url, options.seed)
            while len(run.get("/hosts")) < options.hosts:
                time.sleep(0.2)
            run.start(options.sessions)
            time.sleep(3)
            if options.demo:
                run.kill_host()
                time.sleep(6)
            else:
                harass(run, options.seconds, options.hosts)
            broken = verdict(run, options.sessions, demo=options.demo)
            asyncio.run(running.shut_down(limit_s=10.0))
    finally:
        with contextlib.suppress(Exception):
            serve.shutdown()
        ray.shutdown()
    print("every promise was kept" if not broken else f"{broken} promises were broken")
    return int(bool(broken))


def harass(run: Run, seconds: float, hosts: int) -> None:
    """Break things by the seed's schedule, then let everything settle."""
    deeds = [run.kill_host, run.freeze_host, run.kill_gateway, run.drain_host, run.kill_directory]
    plan = [*deeds, lambda: deploy(hosts), *run.random.choices(deeds[:4], k=20)]
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and plan:
        deed = plan.pop(0)
        print(f"{time.strftime('%H:%M:%S')} {getattr(deed, '__name__', 'redeploy')}", flush=True)
        deed()
        next_s = time.monotonic() + run.random.uniform(4, 9)
        while time.monotonic() < next_s:
            run.thaw()
            time.sleep(0.1)
    settled_s = time.monotonic() + SETTLE_S
    while time.monotonic() < settled_s or run.frozen:
        run.thaw()
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
