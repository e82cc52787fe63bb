"""How long the course takes on each backend: coursetime.py GRADBOOK NOTEBOOK... [--backends "go xla:cpu"] [--limit SECONDS] [--into FOLDER]

Prints a row for each notebook: seconds from the start of `gradbook run` to its end, for each backend. Each run is of a copy in a folder of its
own, below this module, with the results that ship with the notebook and no others, so that nothing is resumed from an earlier one. Cells that were never compiled
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


def shipped(path):
    """The files of results that are committed with a notebook, below its folder."""
    folder, name = os.path.split(os.path.abspath(path))
    listed = subprocess.run(["git", "-C", folder, "ls-files", f"results/{name[:2]}"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        sys.exit(f"git does not say which results ship with {path}; run this in a checkout: {listed.stderr.strip()}")
    return listed.stdout.splitlines()


def run(gradbook, path, backend, into, limit):
    """Run a copy of the notebook; returns (seconds, what went wrong)."""
    folder = os.path.join(into, re.sub(r"\W+", "-", backend), os.path.splitext(os.path.basename(path))[0])
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    copy = shutil.copy(path, folder)
    for name in shipped(path):
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        shutil.copy(os.path.join(os.path.dirname(path), name), os.path.join(folder, name))
    command = [gradbook, "run", copy, "-o", os.path.join(folder, "run.out.ipynb")]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {"GOMLX_BACKEND": backend})
    try:
        _, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.terminate()  # not killed: it has a program of its own to end
        process.communicate()
        return time.monotonic() - start, f"stopped after {limit} s"
    seconds = time.monotonic() - start
    return seconds, "" if process.returncode == 0 else said[-3000:].strip() or f"exit status {process.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("gradbook")
    parser.add_argument("notebooks", nargs="+")
    parser.add_argument("--backends", default="go xla:cpu", help="as GOMLX_BACKEND takes them, with spaces between (default: %(default)s)")
    parser.add_argument("--into", default=os.path.join(ROOT, "build", "course-time"), help="a folder below the module (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=3600, help="seconds after which a run is stopped (default: %(default)s)")
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
            seconds, wrong = run(gradbook, path, backend, into, args.limit)
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
