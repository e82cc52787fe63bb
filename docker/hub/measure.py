"""Starts JupyterHub for some users, has each run a notebook's first cell, and prints how long that took and what memory each one has for
itself. Runs as root, as it makes users; removes them afterwards. See docker/README.md.

    python3 docker/hub/measure.py --proxy 'configurable-http-proxy'
"""
import argparse
import asyncio
import json
import os
import pathlib
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import tornado.httpclient
import tornado.websocket

HERE = pathlib.Path(__file__).parent

# What a user runs. The course's cells begin like this.
CELL = """
import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	_ "github.com/gomlx/gomlx/backends/default"
)
backend := compute.MustNew()
square := graph.MustNewExec(backend, func(x *graph.Node) *graph.Node { return graph.Mul(x, x) })
square.MustExec([]float32{1, 2, 3})[0]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Hub:
    """A JupyterHub that runs, and its users."""

    def __init__(self, folder, proxy):
        self.token = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{free_port()}"
        env = dict(
            os.environ, HUB_FOLDER=folder, HUB_URL=self.url, HUB_API_URL=f"http://127.0.0.1:{free_port()}",
            HUB_PROXY=proxy, HUB_PROXY_API_URL=f"http://127.0.0.1:{free_port()}", HUB_TOKEN=self.token,
            HUB_PASSWORD=secrets.token_hex(16), CONFIGPROXY_AUTH_TOKEN=secrets.token_hex(16))
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            ["jupyterhub", "-f", str(HERE / "jupyterhub_config.py")], cwd=folder, env=env, stdout=self.log, stderr=self.log)

    async def ask(self, method, path, body=None, **options):
        """Asks the hub or a user's server."""
        answer = await tornado.httpclient.AsyncHTTPClient().fetch(
            self.url + path, method=method, body=json.dumps(body or {}) if method == "POST" else None,
            headers={"Authorization": "token " + self.token}, request_timeout=120, **options)
        return json.loads(answer.body) if answer.body else None

    async def until(self, what, seconds=120):
        """Waits until a question is answered."""
        end = time.monotonic() + seconds
        while True:
            try:
                if (answer := await what()) is not None:
                    return answer
            except (OSError, tornado.httpclient.HTTPError):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                sys.exit("JupyterHub does not come up; it said:\n" + self.log.read())
            await asyncio.sleep(0.1)

    async def serve(self, name):
        """Starts a user's server."""
        await self.ask("POST", f"/hub/api/users/{name}")
        await self.ask("POST", f"/hub/api/users/{name}/server")

        async def ready():
            user = await self.ask("GET", f"/hub/api/users/{name}")
            return True if user["servers"].get("", {}).get("ready") else None

        await self.until(ready)

    async def run(self, name, cell):
        """Starts a kernel and runs a cell in it: seconds until the kernel was idle, seconds for the cell, its outputs."""
        start = time.monotonic()
        kernel = await self.ask("POST", f"/user/{name}/api/kernels", {"name": "gradbook"})
        url = self.url.replace("http", "ws", 1) + f"/user/{name}/api/kernels/{kernel['id']}/channels"
        socket = await tornado.websocket.websocket_connect(
            tornado.httpclient.HTTPRequest(url, headers={"Authorization": "token " + self.token}))
        await self.request(socket, "kernel_info_request", {})
        started = time.monotonic()
        outputs = await self.request(
            socket, "execute_request", {"code": cell, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True})
        return started - start, time.monotonic() - started, outputs

    async def request(self, socket, kind, content):
        """Sends a request and reads until it is answered; returns what was shown."""
        message = {
            "header": {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": uuid.uuid4().hex, "version": "5.3", "date": ""},
            "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
        await socket.write_message(json.dumps(message))
        outputs, answered, idle = [], False, False
        while not (answered and idle):
            text = await asyncio.wait_for(socket.read_message(), 300)
            if text is None:
                sys.exit("the connection to a kernel was closed")
            m = json.loads(text)
            if m["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind = m["msg_type"]
            answered = answered or kind.endswith("_reply")
            idle = idle or kind == "status" and m["content"]["execution_state"] == "idle"
            if kind in ("execute_result", "display_data"):
                outputs.append(m["content"]["data"].get("text/plain", ""))
            elif kind == "stream":
                outputs.append(m["content"]["text"])
            elif kind == "error":
                sys.exit("a cell failed: " + m["content"]["evalue"])
        return outputs

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def memory(pid):
    """What a process has for itself, and its proportional share of what it shares, in MB."""
    sums = {"private": 0.0, "pss": 0.0}
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        sys.exit("the memory of other users' processes cannot be seen: in a container this takes --cap-add SYS_PTRACE")
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return sums
    for line in text.splitlines()[1:]:
        name, size, *_ = line.split()
        if name in ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:"):
            sums["private"] += int(size) / 1024
        elif name == "Pss:":
            sums["pss"] += int(size) / 1024
    return sums


def processes(uid):
    """A user's processes: name -> pids. The first argument names gradbook, its worker and gopls; all else of the user is the server."""
    found = {"server": [], "kernel": [], "worker": [], "gopls": []}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or entry.stat().st_uid != uid:
                continue
            args = (entry / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        program = os.path.basename(args[0])
        kind = {"worker": "worker", "gopls": "gopls"}.get(program, "server")
        if program == "gradbook" and args[1:2] == ["kernel"]:
            kind = "kernel"
        found[kind].append(int(entry.name))
    return found


def table(users):
    """Prints each user's memory; returns the largest kernel with its worker and gopls."""
    kinds = ["kernel", "worker", "gopls", "server"]
    print("| user | " + " | ".join(f"{k}: private MB" for k in kinds) + " | kernel + worker + gopls | shares counted in parts |")
    print("|---|" + "---:|" * (len(kinds) + 2))
    largest = 0
    for name in users:
        found = processes(pwd.getpwnam(name).pw_uid)
        private = {k: sum(memory(pid)["private"] for pid in found[k]) for k in kinds}
        own = private["kernel"] + private["worker"] + private["gopls"]
        pss = sum(memory(pid)["pss"] for k in kinds[:3] for pid in found[k])
        largest = max(largest, own)
        print(f"| {name} | " + " | ".join(f"{private[k]:.1f}" if found[k] else "-" for k in kinds) + f" | {own:.1f} | {pss:.1f} |")
    return largest


async def measure(hub, users, waits):
    await hub.until(lambda: hub.ask("GET", "/hub/api/"))
    print("| user | server starts | kernel starts | first cell | it showed |")
    print("|---|---:|---:|---:|---|")
    for name in users:
        start = time.monotonic()
        await hub.serve(name)
        served = time.monotonic() - start
        kernel, cell, outputs = await hub.run(name, CELL)
        print(f"| {name} | {served:.2f} s | {kernel:.2f} s | {cell:.2f} s | {' '.join(outputs).strip()} |", flush=True)
    passed = 0
    for wait in waits:
        await asyncio.sleep(wait - passed)
        passed = wait
        print(f"\nIdle for {wait} s:\n")
        largest = table(users)
        print(f"\nlargest: {largest:.1f} MB; goal: under 40 MB, {'met' if largest < 40 else 'missed'}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--users", type=int, default=8, help="how many (8)")
    p.add_argument("--proxy", default="configurable-http-proxy", help="the command that starts configurable-http-proxy")
    p.add_argument("--wait", type=float, nargs="+", default=[30, 660], help="seconds after the last cell at which to look (30 660: gopls rests after 600)")
    o = p.parse_args()
    if os.getuid() != 0:
        sys.exit("measure.py makes users and starts servers as them: run it as root")
    users = [f"reader{i + 1}" for i in range(o.users)]
    for name in users:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        sys.exit(f"there is a user {name} already: rename it, or remove what an earlier run left (userdel -r {name})")
    folder = tempfile.mkdtemp()
    made = []
    try:
        for name in users:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
            made.append(name)
        hub = Hub(folder, o.proxy)
        try:
            asyncio.run(measure(hub, users, sorted(o.wait)))
        finally:
            hub.close()
    finally:
        time.sleep(1)
        for name in made:
            for pids in processes(pwd.getpwnam(name).pw_uid).values():
                for pid in pids:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
            time.sleep(0.2)
            subprocess.run(["userdel", "--remove", name], stderr=subprocess.DEVNULL)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
