"""Firefox without a window, driven by its own protocol, Marionette: a few of its commands."""

import base64
import json
import socket
import subprocess
import time
from contextlib import contextmanager


class Firefox:
    """A session with Firefox at this socket."""

    def __init__(self, connection):
        self.connection, self.number = connection, 0
        self._receive()  # the greeting
        self.ask("WebDriver:NewSession", capabilities={})

    def ask(self, command, **arguments):
        """The result of a command."""
        self.number += 1
        message = json.dumps([0, self.number, command, arguments]).encode()
        self.connection.sendall(f"{len(message)}:".encode() + message)
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(error["message"])
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def _receive(self):
        digits = b""
        while not digits.endswith(b":"):
            digits += self.connection.recv(1)
        content = b""
        while len(content) < int(digits[:-1]):
            content += self.connection.recv(1 << 16)
        return json.loads(content)

    def open(self, address, width=1000, height=900):
        """Show a page, and wait until it is ready."""
        self.ask("WebDriver:SetWindowRect", width=width, height=height)
        self.ask("WebDriver:Navigate", url=address)
        self.wait("return document.documentElement.dataset.ready")

    def run(self, script):
        """The value that a script returns."""
        return self.ask("WebDriver:ExecuteScript", script=script, args=[])

    def wait(self, script, seconds=120):
        """Wait until a script returns something true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def draw(self, strokes):
        """Draw strokes on the canvas of a page with the mouse, and wait until they are read."""
        left, top = self.run("""
            const canvas = document.querySelector("canvas.drawing");
            canvas.scrollIntoView({ block: "center", behavior: "instant" });
            const { x, y } = canvas.getBoundingClientRect();
            return [x, y];
        """)
        actions = []
        for points in strokes:
            for number, (x, y) in enumerate(points):
                place = {"x": round(left + x), "y": round(top + y), "duration": 10, "origin": "viewport"}
                actions.append({"type": "pointerMove", **place})
                if number == 0:
                    actions.append({"type": "pointerDown", "button": 0})
            actions.append({"type": "pointerUp", "button": 0})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.ask("WebDriver:PerformActions", actions=[mouse])
        self.wait("return !document.documentElement.dataset.busy")

    def screenshot(self):
        """The whole page as PNG."""
        return base64.b64decode(self.ask("WebDriver:TakeScreenshot", full=True, hash=False))


@contextmanager
def started(program, folder):
    """Firefox with a fresh profile in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with _connect(port) as connection:
            connection.settimeout(120)
            yield Firefox(connection)
    finally:
        process.terminate()
        process.wait(30)


def _connect(port):
    end = time.monotonic() + 120
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < end, "Firefox did not start"
            time.sleep(0.1)
