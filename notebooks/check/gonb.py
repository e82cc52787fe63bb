"""Run the course under stock GoNB, beside Gradbook: gonb.py GRADBOOK NOTEBOOK...

Prints a row for each notebook: cells, failures and seconds of both. GoNB is built from its published version. It starts a new
program at each cell and runs every initializer again, so what takes long must be found on disk. Exit status 1 if a cell fails
under GoNB that is not tagged "gradbook-only"."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient

GONB, TOOLS = "v0.11.5", "v0.38.0"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ONLY_LIVE = "gradbook-only"  # needs what only a live program has; the notebook says so


def build(into):
    """Build GoNB, and goimports, which it runs at each cell."""
    with tempfile.TemporaryDirectory() as module:
        with open(module + "/go.mod", "w", encoding="utf-8") as file:
            file.write(f"module build\n\ngo 1.26\n\nrequire (\n\tgithub.com/janpfeifer/gonb {GONB}\n\tgolang.org/x/tools {TOOLS}\n)\n")
        subprocess.run(["go", "build", "-mod=mod", "-o", into + "/", "github.com/janpfeifer/gonb", "golang.org/x/tools/cmd/goimports"],
                       cwd=module, env=os.environ | {"GOWORK": "off"}, check=True)


def setup():
    """The cell that gives GoNB's module this module's requirements, and this module itself."""
    edit = json.loads(subprocess.run(["go", "mod", "edit", "-json"], cwd=ROOT, capture_output=True, check=True).stdout)
    name = edit["Module"]["Path"]
    flags = [f"-require={r['Path']}@{r['Version']}" for r in edit["Require"]]
    flags += [f"-require={name}@v0.0.0", f"-replace={name}={ROOT}"]
    return f"!*go mod edit {' '.join(flags)}\n!*cp '{ROOT}/go.sum' go.sum\n"


def under_gonb(path):
    """Run a notebook; returns (cells, [failures], seconds)."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec = {"name": "gonb", "display_name": "Go (GoNB)", "language": "go"}
    notebook.cells.insert(0, nbformat.v4.new_code_cell(setup()))
    failures, start = [], time.monotonic()
    client = NotebookClient(notebook, kernel_name="gonb", timeout=600, allow_errors=True, resources={"metadata": {"path": os.path.dirname(path)}})
    client.execute()
    cells = [c for c in notebook.cells[1:] if c.cell_type == "code"]
    for cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                failures.append((cell, output))
    return len(cells), failures, time.monotonic() - start


def under_gradbook(gradbook, path, scratch):
    start = time.monotonic()
    run = subprocess.run([gradbook, "run", path, "-o", os.path.join(scratch, "out.ipynb")], capture_output=True, text=True, check=False)
    return run.returncode, time.monotonic() - start


def main(gradbook, paths):
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        bin_dir = scratch + "/bin"
        os.mkdir(bin_dir)
        build(bin_dir)
        spec = scratch + "/jupyter/kernels/gonb"
        os.makedirs(spec)
        with open(spec + "/kernel.json", "w", encoding="utf-8") as file:
            json.dump({"argv": [bin_dir + "/gonb", "--kernel", "{connection_file}", "--logtostderr=false"], "display_name": "Go (GoNB)", "language": "go"}, file)
        os.environ |= {"JUPYTER_PATH": scratch + "/jupyter", "PATH": bin_dir + ":" + os.environ["PATH"], "GOWORK": "off"}
        print("| notebook | code cells | failures under GoNB | of them stated | seconds under GoNB | failures under Gradbook | seconds under Gradbook |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for path in paths:
            path = os.path.abspath(path)
            code, seconds = under_gradbook(gradbook, path, scratch)
            cells, failures, gonb_seconds = under_gonb(path)
            stated = [f for f in failures if ONLY_LIVE in f[0].metadata.get("tags", [])]
            print(f"| {os.path.basename(path)} | {cells} | {len(failures)} | {len(stated)} | {gonb_seconds:.0f} | {code} | {seconds:.0f} |", flush=True)
            for cell, output in failures:
                if (cell, output) not in stated:
                    failed = True
                    print(f"{os.path.basename(path)}, cell {cell.id}: {output.ename}: {output.evalue}", file=sys.stderr)
                    print("\n".join(output.traceback)[-2000:], file=sys.stderr)
            failed = failed or code != 0
        shutil.rmtree(bin_dir)
    sys.exit(1 if failed else 0)


main(sys.argv[1], sys.argv[2:])
