"""How long the course takes on each backend: coursetime.py GRADBOOK NOTEBOOK... [--backends "go xla:cpu"] [--into FOLDER]

Prints a row for each notebook: seconds from the start of `gradbook run` to its end, for each backend. Each run is of a copy in a folder of its
own, below this module and without results, so that nothing is resumed from an earlier one. Cells that were never compiled
here are compiled in the first run: `make course` before this takes that out of the figures. Exit status 1 if a cell fails."""
import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(gradbook, path, backend, into):
    """Run a copy of the notebook; returns (seconds, what went wrong)."""
    folder = os.path.join(into, re.sub(r"\W+", "-", backend), os.path.splitext(os.path.basename(path))[0])
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    copy = shutil.copy(path, folder)
    start = time.monotonic()
    done = subprocess.run([gradbook, "run", copy, "-o", os.path.join(folder, "run.out.ipynb")], capture_output=True, text=True, check=False,
                          env=os.environ | {"GOMLX_BACKEND": backend})
    seconds = time.monotonic() - start
    return seconds, "" if done.returncode == 0 else done.stderr[-3000:].strip() or f"exit status {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("gradbook")
    parser.add_argument("notebooks", nargs="+")
    parser.add_argument("--backends", default="go xla:cpu", help="as GOMLX_BACKEND takes them, with spaces between (default: %(default)s)")
    parser.add_argument("--into", default=os.path.join(ROOT, "build", "course-time"), help="a folder below the module (default: %(default)s)")
    args = parser.parse_args()
    gradbook, into = os.path.abspath(args.gradbook), os.path.abspath(args.into)
    if not os.access(gradbook, os.X_OK):
        parser.error(f"{args.gradbook} is no program; build it by: make build")
    for path in args.notebooks:
        if not os.path.isfile(path):
            parser.error(f"{path} is no notebook")
    backends = args.backends.split()
    totals, failed = dict.fromkeys(backends, 0.0), []
    print("| notebook | " + " | ".join(f"{b}: s" for b in backends) + " |")
    print("|---|" + "---:|" * len(backends), flush=True)
    for path in args.notebooks:
        name, cells = os.path.basename(path), []
        for backend in backends:
            seconds, wrong = run(gradbook, path, backend, into)
            print(f"{name} on {backend}: {seconds:.1f} s{', failed' if wrong else ''}", file=sys.stderr, flush=True)
            totals[backend] += seconds
            cells.append(f"{seconds:.1f}" if not wrong else f"failed after {seconds:.1f}")
            if wrong:
                failed.append(f"{name} on {backend}: {wrong}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("| all | " + " | ".join(f"{totals[b]:.1f}" for b in backends) + " |")
    print(f"\n`gradbook run`, start and end of the kernel included, nothing resumed; {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} at the end, {datetime.date.today()}.")
    if failed:
        sys.exit("\n" + "\n".join(failed))


main()
