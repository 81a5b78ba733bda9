"""`python -m tests.hostile [WORDS]`: a table of what was tried, and how it ended."""

import sys
import tempfile
from pathlib import Path

from tests.hostile.all_cases import CASES
from tests.hostile.cases import Place
from tests.hostile.processes import processes


def main() -> None:
    """Print a row for each case whose kind or name has the words."""
    words = " ".join(sys.argv[1:])
    chosen = [case for case in CASES if words in str(case)]
    print("| kind | input | status | s of a processor | MB | what is wrong | what is said |")
    print("|---|---|---|---|---|---|---|")
    with processes() as runner, tempfile.TemporaryDirectory() as twins:
        for case in chosen:
            with tempfile.TemporaryDirectory() as folder:
                with Place(Path(folder), Path(twins)) as place:
                    ended = runner.run(case.build(place), place.folder)
                    faults = "; ".join(case.faults(ended, place)) or "nothing"
                said = ended.err.decode("utf-8", "replace").partition("\n")[0].replace(folder, "…")
            measured = f"{ended.status} | {ended.seconds:.2f} | {ended.peak / 1000:.0f}"
            print(f"| {case.kind} | {case.name} | {measured} | {faults} | {said[:150]} |", flush=True)


main()
