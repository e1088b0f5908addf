"""Commands that must start without anything heavy."""

import subprocess
import sys

HEAVY = {"torch", "transformers", "pandas", "scipy", "matplotlib"}


def light(*words):
    """Run `python -m rsir` with these words; nothing heavy is loaded.

    Returns:
        What was printed; the command has ended with 0.
    """
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rsir", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {
        line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()
    }
    assert "numpy" in loaded and not HEAVY & loaded
    return done.stdout
