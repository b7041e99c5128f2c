"""A side of a duel: a process that is warm and waits for its turn."""
import json
import os
import select
import subprocess

WARM_UP_SECONDS = 1800
TURN_SECONDS = 600
QUIT_SECONDS = 20


class SideFailed(Exception):
    """Says what the side's last words were."""


class Side:
    def __init__(self, command, log, environment):
        self._log = log
        with open(log, "w") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                             env=environment)
        self._buffer = b""
        try:
            self.ready = self._answer(WARM_UP_SECONDS)
        except SideFailed:
            self.close()
            raise

    def _answer(self, limit):
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._process.stdout], [], [], limit)
            chunk = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                raise SideFailed(self._last_words() if readable else f"no answer within {limit} s")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def _last_words(self):
        with open(self._log, errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else "it ended without a word"

    def ask(self, request):
        try:
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise SideFailed(self._last_words()) from error
        return self._answer(TURN_SECONDS)

    def close(self):
        try:
            self._process.communicate(b"quit\n", timeout=QUIT_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError, ValueError):
            self._process.kill()
            self._process.wait()
