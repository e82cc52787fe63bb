"""Pins JupyterHub into docker/requirements-hub.txt, beside the versions that Gradbook's JupyterLab has. Needs uv in PATH."""
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).parent
LAB = HERE.parent / "kernel" / "cmd" / "gradbook" / "requirements-lab.txt"
HUB = HERE / "requirements-hub.txt"
WANTED = "jupyterhub>=5.3,<6\n"


def blocks(text):
    """The requirements of a text, each with the lines of its hashes: (name==version, text)."""
    found = []
    for line in text.splitlines(keepends=True):
        if start := re.match(r"[A-Za-z0-9._-]+==\S+", line):
            found.append((start[0], line))
        elif line.startswith(" "):
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def main():
    said = [line for line in HUB.read_text().splitlines(keepends=True) if line.startswith("#")]
    out = subprocess.run(
        ["uv", "pip", "compile", "--universal", "--python-version", "3.10", "--generate-hashes", "--no-header",
         "--no-annotate", "-c", str(LAB), "-"],
        input=WANTED, text=True, stdout=subprocess.PIPE, check=True).stdout
    lab = {name for name, _ in blocks(LAB.read_text())}
    HUB.write_text("".join(said + [text for name, text in blocks(out) if name not in lab]))


if __name__ == "__main__":
    main()
