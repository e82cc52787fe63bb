"""Asks a kernel questions over the wire, and prints how long the answers took as JSON: seconds by the question's name.

Usage: assist.py RUNS CASES COMMAND...: CASES is JSON, COMMAND starts the kernel; {connection_file} in it is replaced.
"""
import json
import secrets
import subprocess
import sys
import time

from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

WARM = 3  # answers that do not count
PATIENCE = 600  # seconds until a kernel knows the first answer; it may have to build


def ask(client, question, n):
    """Sends one question; N in its text is a number that makes each text new. Returns the time and the answer."""
    text = question["text"].replace("N", str(n))
    send = client.complete if question["kind"] == "complete" else client.inspect
    start = time.perf_counter()
    reply = send(text, len(text), reply=True, timeout=60)["content"]
    took = time.perf_counter() - start
    if reply["status"] != "ok":
        raise SystemExit(f"{text!r}: {reply}")
    known = reply["matches"] if question["kind"] == "complete" else reply["data"].get("text/plain", "")
    return took, question["wants"] in known or any(m.endswith(question["wants"]) for m in known if len(m) > 1)


def main():
    runs, cases = int(sys.argv[1]), json.loads(sys.argv[2])
    file, _ = write_connection_file(key=secrets.token_hex().encode())
    kernel = subprocess.Popen([a.replace("{connection_file}", file) for a in sys.argv[3:]], stdout=sys.stderr)
    client = BlockingKernelClient(connection_file=file)
    try:
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        for cell in cases["cells"]:
            reply = client.execute_interactive(cell, timeout=PATIENCE, output_hook=lambda m: None)["content"]
            if reply["status"] != "ok":
                raise SystemExit(f"{cell!r}: {reply}")
        times = {}
        for question in cases["questions"]:
            end = time.monotonic() + PATIENCE
            while not ask(client, question, 0)[1]:
                if time.monotonic() > end:
                    raise SystemExit(f"{question}: no such answer in {PATIENCE} s")
                time.sleep(0.5)
            for n in range(1, WARM + runs + 1):
                took, right = ask(client, question, n)
                if not right:
                    raise SystemExit(f"{question}: run {n} did not give the answer")
                if n > WARM:
                    times.setdefault(question["name"], []).append(took)
        client.shutdown()
        kernel.wait(timeout=30)
    finally:
        client.stop_channels()
        kernel.kill()
    print(json.dumps(times))


main()
