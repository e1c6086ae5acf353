"""Runs a server that listens on every interface where only loopback reaches it: loopback_only.py PORT INNER COMMAND...

The server gets a network of its own without any way out, in which it may listen on INNER. What comes in at
127.0.0.1:PORT of this machine is passed on to it: a socket stays in the network in which it was made. Linux, Python 3.12.

With --check alone, it tells whether this machine lets it make such a network.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys


def leave_network():
    try:
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def relay(listener, inner, command):
    async def accept(reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    server = await asyncio.start_server(accept, sock=listener)
    child = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, child.kill)
    async with server:
        await child.wait()
    sys.exit(0 if child.returncode in (0, -signal.SIGKILL) else 1)


def main():
    if sys.argv[1:] == ["--check"]:
        leave_network()
        return
    port, inner, *command = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(port)))
    leave_network()
    asyncio.run(relay(listener, int(inner), command))


main()
