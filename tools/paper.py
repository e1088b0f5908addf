"""Train the papers' presets from a folder, without network; ordinary records.

    python tools/paper.py FOLDER --dataset rsicd
    python tools/paper.py FOLDER --dataset rsicd --methods amfmn galr --seeds 3

In FOLDER lie `data`, as `RSIR_DATA`; `huggingface`, as `HF_HOME`; `torch`, as
`TORCH_HOME`; and `cache`, as `RSIR_CACHE`, with `skip-thoughts` in it: the page
"Run it" says how to fill them. One GPU is used. A call that was cut off is given
again; it goes on after the last whole epoch.
"""

import argparse
import os
from pathlib import Path

SYSTEMS = ("amfmn", "galr", "envlf", "cfitr")
HOMES = {
    "RSIR_DATA": "data",
    "HF_HOME": "huggingface",
    "TORCH_HOME": "torch",
    "RSIR_CACHE": "cache",
}


def main(words=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--methods", nargs="+", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path, help="where records go")
    asked = parser.parse_args(words)
    for variable, name in HOMES.items():
        os.environ[variable] = str(asked.folder.resolve() / name)
    os.environ["HF_HUB_OFFLINE"] = "1"
    from rsir.experiments.run import jobs_of, work  # read the homes

    wanted = [(method, None) for method in asked.methods]
    seeds = range(asked.seeds)
    work(jobs_of(wanted, asked.dataset, "paper", seeds), results=asked.results)


if __name__ == "__main__":
    main()
