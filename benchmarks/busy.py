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
    from rsir.models.recipes import recipe
    from rsir.training.trainer import train

    if threads:
        torch.set_num_threads(threads)
    splits = load_dataset("toy")
    start = time.perf_counter()
    train(recipe("linear", "toy", "one-view"), splits, progress=False)
    return time.perf_counter() - start


def child(name: str, limit: float) -> float:
    """`train_once` in a new process; `limit` if it takes longer."""
    environment, threads = SETTINGS[name]
    # empty in place of missing: rsir sets only what is missing
    settings = {key: value or "" for key, value in environment.items()}
    command = [sys.executable, __file__, "--threads", str(threads)]
    try:
        done = subprocess.run(
            command,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return limit
    return float(done.stdout.split()[-1])


def measure(rounds: int, loads: list[int], limit: float) -> dict:
    """{(setting, busy processes): seconds of each round}."""
    found = {(name, busy): [] for busy in loads for name in SETTINGS}
    for _ in range(rounds):
        for busy in loads:
            beside = [
                subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(busy)
            ]
            try:
                for name in SETTINGS:
                    found[name, busy].append(child(name, limit))
                    print(
                        f"{busy} busy, {name}: {found[name, busy][-1]:.1f} s",
                        flush=True,
                    )
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
    quiet = statistics.median(found["own", min(asked.busy)])
    print(f"{'busy':<6}{'setting':<12}{'seconds':>9}{'ratio':>8}   rounds")
    for (name, busy), seconds in found.items():
        middle = statistics.median(seconds)
        rounds = " ".join(f"{s:.1f}" for s in seconds)
        print(f"{busy:<6}{name:<12}{middle:>9.1f}{middle / quiet:>8.2f}   {rounds}")
    first = found["own", min(asked.busy)]
    if max(first) > 1.1 * min(first):
        print("rough: the quiet times differ by more than a tenth")


if __name__ == "__main__":
    main()
