"""Run every benchmark, one after the other, each in a process of its own that may take ten minutes.

python -m bench [NAME …]      NAME: histograms, keep, program, query, scrape, store, tiers, write
"""

import subprocess
import sys
from pathlib import Path

_TIME_LIMIT_S = 600


def main() -> int:
    every = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    chosen = [f"bench_{name.removeprefix('bench_')}" for name in sys.argv[1:]] or every
    unknown = sorted(set(chosen) - set(every))
    if unknown:
        print(f"cannot run {', '.join(unknown)}: want some of {', '.join(every)}", file=sys.stderr)
        return 2
    failed = 0
    for name in chosen:
        print(f"\n== {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"bench.{name}"], timeout=_TIME_LIMIT_S, check=False).returncode != 0
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
