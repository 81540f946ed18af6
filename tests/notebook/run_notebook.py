"""Execute a notebook on the Deno kernel and check that every cell worked.

    python3 tests/notebook/run_notebook.py notebooks/01_quickstart.ipynb [--save OUT.ipynb] [--timeout 840]

Why not `jupyter nbconvert --execute`: it stops listening as soon as the kernel says "idle", but
the Deno kernel may send a cell's last outputs after that, so they are lost. This runner waits for
the reply, for "idle", and then until the channel has been quiet for a moment.

Prints the text every cell printed and ends with one line `notebook: N cells passed, M failed`.
"""
import argparse
import os
import queue
import sys
import time

import nbformat
from jupyter_client.manager import KernelManager

QUIET_SECONDS = 0.6


def drain(client, message_id, deadline):
    """All outputs of one execution request, in order, as notebook output nodes."""
    outputs, failed, idle, quiet_since = [], False, False, time.monotonic()
    replied = False
    while True:
        if time.monotonic() > deadline:
            raise TimeoutError("the cell did not finish in time")
        if not replied:
            try:
                reply = client.get_shell_msg(timeout=0.05)
                if reply["parent_header"].get("msg_id") == message_id:
                    replied = True
                    failed = failed or reply["content"].get("status") == "error"
            except queue.Empty:
                pass
        try:
            message = client.get_iopub_msg(timeout=0.05)
        except queue.Empty:
            if replied and idle and time.monotonic() - quiet_since > QUIET_SECONDS:
                return outputs, failed
            continue
        if message["parent_header"].get("msg_id") != message_id:
            continue
        quiet_since = time.monotonic()
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            idle = idle or content["execution_state"] == "idle"
        elif kind in ("stream", "display_data", "execute_result", "error"):
            outputs.append(nbformat.v4.output_from_msg(message))
            failed = failed or kind == "error"


def text_of(output):
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}\n" + "\n".join(output.traceback)
    data = output.get("data", {})
    kinds = ", ".join(k for k in data if k != "text/plain")
    plain = data.get("text/plain", "")
    return (f"[{kinds}] " if kinds else "") + (plain if isinstance(plain, str) else "".join(plain))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook")
    parser.add_argument("--save", help="write the executed notebook here")
    parser.add_argument("--timeout", type=float, default=840, help="seconds for the whole notebook")
    args = parser.parse_args()

    notebook = nbformat.read(args.notebook, as_version=4)
    manager = KernelManager(kernel_name="deno")
    manager.start_kernel(cwd=os.path.dirname(os.path.abspath(args.notebook)))
    client = manager.blocking_client()
    client.start_channels()
    deadline = time.monotonic() + args.timeout
    passed = failures = 0
    try:
        client.wait_for_ready(timeout=60)
        for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
            started = time.monotonic()
            cell.outputs, failed = drain(client, client.execute(cell.source), deadline)
            cell.execution_count = number + 1
            print(f"--- cell {number + 1}: {time.monotonic() - started:.1f} s", flush=True)
            for output in cell.outputs:
                print(text_of(output).rstrip(), flush=True)
            if failed:
                failures += 1
                break
            passed += 1
    except TimeoutError as error:
        print(f"--- {error}", flush=True)
        failures += 1
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if args.save:
        nbformat.write(notebook, args.save)
    print(f"notebook: {passed} cells passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
