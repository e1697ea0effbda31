# SPDX-License-Identifier: MIT
"""A shell on a terminal, and what stands on its screen at which time."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

COLUMNS = 100
DEADLINE = 60
PIECE = 4  # what is typed at once
PROMPT = r"\n\$ $"
ESCAPE = re.compile(r"\x1b\[(\d*)([A-Za-z])")


class Clock:
    """Runs as time does, but that it may be put on: for typing and reading, which nobody does."""

    def __init__(self):
        self.begin = time.monotonic()

    def now(self):
        return time.monotonic() - self.begin

    def put_on(self, seconds):
        self.begin -= seconds


class Screen:
    """Rows of (character, colour). It grows and never scrolls."""

    def __init__(self):
        self.rows, self.row, self.column, self.colour = [[]], 0, 0, ""
        self.wrapped = set()  # rows that go on where the one above had to end

    def feed(self, text):
        at = 0
        while at < len(text):
            escape = ESCAPE.match(text, at)
            if escape:
                self.obey(escape[2], escape[1])
                at = escape.end()
            else:
                self.put(text[at])
                at += 1

    def obey(self, letter, number):
        if letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter in "JK":
            del self.rows[self.row][self.column:]
            if letter == "J":
                del self.rows[self.row + 1:]
        elif letter == "m":
            self.colour = {"32": "green"}.get(number, "")

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.go_down()
        elif character >= " ":
            if self.column == COLUMNS:
                self.column = 0
                self.go_down()
                self.wrapped.add(self.row)
            row = self.rows[self.row]
            row.extend([(" ", "")] * (self.column - len(row)))
            row[self.column:self.column + 1] = [(character, self.colour)]
            self.column += 1

    def go_down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def text(self):
        """Lines as they were printed, whatever the terminal's width."""
        text = ""
        for index, row in enumerate(self.rows):
            text += "" if index in self.wrapped or index == 0 else "\n"
            text += "".join(character for character, _ in row)
        return text


class Pane:
    """One shell. changes has (time, row, its cells) for each row that has become another."""

    def __init__(self, title, directory, path, clock):
        self.title, self.clock = title, clock
        self.screen, self.changes, self.shown = Screen(), [], []
        os.makedirs(directory, exist_ok=True)
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(directory)
            os.execve("/bin/bash", ["bash", "--noediting", "--norc", "--noprofile", "-i"],
                      {"PATH": path, "HOME": directory, "PS1": "$ ", "TERM": "xterm",
                       "LC_ALL": "C.UTF-8"})
        os.set_inheritable(self.terminal, False)  # or the next shell would hold it open
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        self.until(r"\$ $")

    def note_changes(self):
        rows = self.screen.rows
        for index in range(max(len(rows), len(self.shown))):
            row = list(rows[index]) if index < len(rows) else []
            if index == len(self.shown):
                self.shown.append([])
            if row != self.shown[index]:
                self.changes.append((self.clock.now(), index, row))
                self.shown[index] = row

    def read(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        self.screen.feed(os.read(self.terminal, 65536).decode(errors="replace"))
        self.note_changes()
        return True

    def until(self, pattern, since=0):
        end = time.monotonic() + DEADLINE
        while not re.search(pattern, self.screen.text()[since:]):
            if not self.read(max(0, end - time.monotonic())):
                raise TimeoutError(f"{self.title}: never shown: {pattern}\n{self.screen.text()}")

    def type(self, line, pattern=PROMPT):
        """Types a line, and waits for what it brings: by default the next prompt."""
        for at in range(0, len(line), PIECE):
            os.write(self.terminal, line[at:at + PIECE].encode())
            self.until(re.escape(line[:at + PIECE]) + "$")
            self.clock.put_on(0.04 * PIECE)
        since = len(self.screen.text())
        os.write(self.terminal, b"\n")
        self.until(pattern, since)

    def interrupt(self):
        since = len(self.screen.text())
        os.write(self.terminal, b"\x03")
        self.until(PROMPT, since)

    def drop_prompt(self):
        """The last one, behind which nobody types."""
        last = self.screen.row
        del self.screen.rows[last:], self.shown[last:]
        self.changes = [change for change in self.changes if change[1] < last]

    def close(self):
        os.close(self.terminal)  # a hang-up, for the shell and what it runs
        os.waitpid(self.process, 0)
