"""What another busy process costs, and what makes waiting cheap.

    python benchmarks/busy.py                 # some minutes

Trains the frozen baseline of the toy scenes on cached features, in a
process of its own: quiet, and beside Python loops that never rest. Each
way of waiting (see `SETTINGS`) is measured in turn, round after round, so
that all of them meet the same machine. Ratios are to the quiet time with
the libraries' own setting, medians of the rounds.

The machine must have nothing else to do. Rounds whose quiet times differ
by more than a tenth are told: their ratios are rough.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time

#: name: (environment, threads of torch; 0: its own choice)
SETTINGS = {
    "own": ({"OMP_WAIT_POLICY": None}, 0),
    "passive": ({"OMP_WAIT_POLICY": "PASSIVE"}, 0),
    "one thread": ({"OMP_WAIT_POLICY": "PASSIVE"}, 1),
}
LOOP = "while True: pass"


def train_once(threads: int) -> float:
    """Seconds to train the baseline; features are read, not computed."""
    if not os.environ.get("OMP_WAIT_POLICY", "-"):
        del os.environ["OMP_WAIT_POLICY"]
    import torch

    from rsir.data import load_dataset
    from rsir.models import config
    from rsir.training.trainer import train

    if threads:
        torch.set_num_threads(threads)
    splits = load_dataset("toy")
    start = time.perf_counter()
    train(config("linear", "toy", "one-view"), splits, progress=False)
    return time.perf_counter() - start


def child(name: str, limit: float) -> float:
    """`train_once` in a new process; `limit` if it takes longer."""
    environment, threads = SETTINGS[name]
    # empty in place of missing: rsir sets only what is missing
    settings = {key: value or "" for key, value in environment.items()}
    command = [sys.executable, __file__, "--threads", str(threads)]
    how = {"capture_output": True, "text": True, "check": True, "timeout": limit}
    try:
        done = subprocess.run(command, env=os.environ | settings, **how)
    except subprocess.TimeoutExpired:
        return limit
    return float(done.stdout.split()[-1])


def measure(rounds: int, loads: list[int], limit: float) -> dict:
    """{(setting, busy processes): seconds of each round}."""
    found = {(name, busy): [] for busy in loads for name in SETTINGS}
    loop = [sys.executable, "-c", LOOP]
    for _, busy in itertools.product(range(rounds), loads):
        beside = [subprocess.Popen(loop) for _ in range(busy)]
        try:
            for name in SETTINGS:
                seconds = child(name, limit)
                found[name, busy].append(seconds)
                print(f"{busy} busy, {name}: {seconds:.1f} s", flush=True)
        finally:
            for process in beside:
                process.kill()
                process.wait()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--limit", type=float, default=300, help="seconds of a run")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.threads is not None:
        print(train_once(asked.threads))
        return
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}")
    child("own", 10 * asked.limit)  # scenes and features
    found = measure(asked.rounds, asked.busy, asked.limit)
    first = found["own", min(asked.busy)]
    quiet = statistics.median(first)
    print(f"{'busy':<6}{'setting':<12}{'seconds':>9}{'ratio':>8}   rounds")
    for (name, busy), seconds in found.items():
        middle = statistics.median(seconds)
        rounds = " ".join(f"{s:.1f}" for s in seconds)
        print(f"{busy:<6}{name:<12}{middle:>9.1f}{middle / quiet:>8.2f}   {rounds}")
    if max(first) > 1.1 * min(first):
        print("rough: the quiet times differ by more than a tenth")


if __name__ == "__main__":
    main()
