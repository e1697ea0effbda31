# SPDX-License-Identifier: MIT
"""What Tab brings, in the shells themselves."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from harness import DEADLINE, LASTBYTE, main, program, run, temporary_directory

BASH, FISH, ZSH = os.environ["LASTBYTE_COMPLETIONS"].split()
READY = "ready> "


class Terminal:
    """A shell on a terminal of its own, in a directory with the command and one file."""

    def __init__(self, test, command, **environment):
        self.directory = temporary_directory(test)
        os.symlink(LASTBYTE, os.path.join(self.directory, "lastbyte"))
        os.mkdir(os.path.join(self.directory, "drop"))
        with open(os.path.join(self.directory, "report.pdf"), "w", encoding="utf-8"):
            pass
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.directory,
            start_new_session=True, env={"PATH": self.directory + ":" + os.environ["PATH"],
                                         "TERM": "dumb", "HOME": self.directory, **environment})
        os.close(theirs)
        test.addCleanup(self.close)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def type(self, text):
        os.write(self.ours, text.encode())

    def until(self, pattern):
        """What the terminal shows up to there."""
        shown, end = "", time.monotonic() + DEADLINE
        while not re.search(pattern, shown):
            left = end - time.monotonic()
            if left < 0 or not select.select([self.ours], [], [], left)[0]:
                raise AssertionError(f"never shown: {pattern}; but {shown!r}")
            shown += os.read(self.ours, 4096).decode(errors="replace")
        return shown

    def expect(self, typed, pattern):
        """Tab behind what is typed; then the line is dropped (^U), and another ends."""
        self.type(typed + "\t")
        self.until(pattern)
        self.type("\x15echo do''ne\n")
        self.until("done\r\n(.*\n)*.*" + READY)


class Scripts(unittest.TestCase):
    def test_every_option_is_in_each(self):
        for path in (BASH, FISH, ZSH):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for command in ("recv", "send", "probe", "bench"):
                options = re.findall(r"^  (?:-\w, |    )--([a-z0-9-]+)",
                                     run(command, "--help").output.decode(), re.M)
                mark = "-l {}\\b" if path == FISH else "--{}\\b"
                for option in options:
                    self.assertTrue(re.search(mark.format(option), text), (path, option))


class Bash(unittest.TestCase):
    def setUp(self):
        self.shell = Terminal(self, [program("bash"), "--norc", "--noprofile", "-i"], PS1=READY)
        self.shell.until(READY)
        self.shell.type(f"bind 'set bell-style none'; source {BASH}\n")
        self.shell.until("lastbyte\\S*\r\n(.*\n)*.*" + READY)

    def test_commands_options_and_values(self):
        for typed, pattern in (
                ("lastbyte re", "lastbyte recv "),
                ("lastbyte recv --gather", "--gather-max="),
                ("lastbyte recv --sink=dis", "--sink=discard "),
                ("lastbyte recv -s dis", "-s discard "),
                ("lastbyte recv --sink=hash:sh", "--sink=hash:sha256 "),
                ("lastbyte recv --sink=dir:dr", "--sink=dir:drop/"),
                ("lastbyte recv --backend=ep", "--backend=epoll "),
                ("lastbyte recv --tune=sa", "--tune=save-cpu "),
                ("lastbyte recv --stats=j", "--stats=json "),
                ("lastbyte recv --receipt=sh", "--receipt=sha256 "),
                ("lastbyte recv --no-harden=sec", "--no-harden=seccomp "),
                ("lastbyte recv --seal-key=rep", "--seal-key=report.pdf "),
                ("lastbyte send :1090 rep", ":1090 report.pdf "),
                ("lastbyte send un", "send unix:"),
                ("lastbyte help rece", "help receipts ")):
            self.shell.expect(typed, re.escape(pattern))

    def test_what_is_ambiguous_is_listed(self):
        self.shell.type("lastbyte recv --max-s\t\t\t")
        self.shell.until(r"--max-streams-per-peer=\s+--max-streams=")


class Zsh(unittest.TestCase):
    def setUp(self):
        self.shell = Terminal(self, [program("zsh"), "-f", "-i"], PS1=READY)
        self.shell.until(READY)
        shutil.copy(ZSH, self.shell.directory)
        self.shell.type(f"unsetopt beep; fpath=({self.shell.directory} $fpath); "
                        "autoload -U compinit; compinit -u -d .dump; echo do''ne\n")
        self.shell.until("done\r\n(.*\n)*.*" + READY)

    def test_commands_options_and_values(self):
        for typed, pattern in (
                ("lastbyte re", "recv "),
                ("lastbyte recv --gather", "--gather-max="),
                ("lastbyte recv --sink=dis", "--sink=discard "),
                ("lastbyte recv -s dis", "discard "),
                ("lastbyte recv --sink=hash:sh", "hash:sha256 "),
                ("lastbyte recv --sink=dir:dr", "dir:drop/"),
                ("lastbyte recv --backend=ep", "--backend=epoll "),
                ("lastbyte recv --tune=sa", "--tune=save-cpu "),
                ("lastbyte recv --stats=j", "--stats=json "),
                ("lastbyte recv --seal-key=rep", "report.pdf "),
                ("lastbyte send :1090 rep", "report.pdf ")):
            self.shell.expect(typed, re.escape(pattern))


class Fish(unittest.TestCase):
    def completed(self, typed):
        directory = temporary_directory(self)
        os.mkdir(os.path.join(directory, "drop"))
        script = f"source {FISH}; complete -C '{typed}'"
        done = subprocess.run([program("fish"), "--no-config", "-c", script], cwd=directory,
                              env={**os.environ, "HOME": directory}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=DEADLINE, check=False, text=True)
        self.assertEqual("", done.stderr)
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    def test_commands_options_and_values(self):
        for typed, word in (
                ("lastbyte re", "recv"),
                ("lastbyte recv --gather", "--gather-max"),
                ("lastbyte recv --sink=dis", "--sink=discard"),
                ("lastbyte recv --sink=hash:sh", "--sink=hash:sha256"),
                ("lastbyte recv --sink=dir:dr", "--sink=dir:drop/"),
                ("lastbyte recv --backend=ep", "--backend=epoll"),
                ("lastbyte recv --tune=sa", "--tune=save-cpu"),
                ("lastbyte recv --receipt=sh", "--receipt=sha256"),
                ("lastbyte help rece", "receipts")):
            with self.subTest(typed=typed):
                self.assertIn(word, self.completed(typed))


if __name__ == "__main__":
    main()
