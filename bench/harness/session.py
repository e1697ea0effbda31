# SPDX-License-Identifier: MIT
"""One run: verifies every contender, then takes the samples round by round until the plan or the
time is used up. What fails is named and left out; the others go on."""

import os
import pathlib
import sys
import time

from harness import metrics, results, workloads
from harness.driver import Failed, rounded


class Progress:
    """Tells how far a run is: a line that is rewritten on a terminal, a line a round elsewhere."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.live = stream.isatty()

    def say(self, text):
        self._clear()
        print(text, file=self.stream, flush=True)

    def step(self, text):
        if self.live:
            self._clear()
            self.stream.write(text[:99])
            self.stream.flush()

    def _clear(self):
        if self.live:
            self.stream.write("\r\x1b[K")


class Session:
    def __init__(self, plan, driver, outside, document, progress, options=(), clock=time.monotonic,
                 napi_cpu=lambda: None):
        self.plan = plan
        self.driver = driver
        self.outside = outside
        self.document = document
        self.progress = progress
        self.options = tuple(options)
        self.clock = clock
        self.napi_cpu = napi_cpu  # CPU-seconds so far of a thread that receives packets, or None
        self.pace = 1.0  # what a round took of what it was expected to
        self.samples = document["samples"]
        self.failed = document["failed"]

    # ---- before the clock runs

    def verify(self):
        """Every contender once with every byte checked; who is wrong takes no part. System calls
        of outside programs are counted here too."""
        self.progress.say("checking the content that each contender receives ...")
        for workload in dict.fromkeys(item.workload for item in self.plan.items):
            if not workload.compared:
                continue  # its bytes are those of another one, which is checked
            items = [item for item in self.plan.items if item.workload == workload]
            wrong = self._verify_driver(workload.name, items)
            for program in dict.fromkeys(item.program for item in items if item.program):
                self.progress.step(f"checking {workload.name}: {program.name}")
                wrong[program.name] = self.outside.verify(program, workload)
            for contender, why in wrong.items():
                if why:
                    self._fail(workload.name, contender, why)

    def _verify_driver(self, name, items):
        by_address = {}
        for item in items:
            if not item.program:
                by_address.setdefault(item.address, {})[item.contender] = None
        wrong = {}
        for address, contenders in by_address.items():
            wrong.update(self._verify_at(name, address, list(contenders)))
        return wrong

    def _verify_at(self, name, address, contenders):
        self.progress.step(f"checking {name}")
        try:
            told = self.driver.verify(name, contenders, (*self.options, *address, "--quick"))
        except Failed as failure:
            return {contender: str(failure) for contender in contenders}
        wrong = {}
        for contender in contenders:
            of_it = [why for benchmark, why in told.items()
                     if benchmark.split("/")[1:2] == [contender]]
            wrong[contender] = next(filter(None, of_it), "" if of_it else "was not checked")
        return wrong

    def _fail(self, workload, contender, why):
        self.failed.append({"workload": workload, "contender": contender, "why": why})
        self.plan.items = [item for item in self.plan.items
                           if (item.workload.name, item.contender) != (workload, contender)]
        self.progress.say(f"FAILED: {workload}: {contender}: {why}")

    # ---- rounds

    def run(self, deadline, save):
        """All rounds, or as many whole ones as end before the deadline (of the clock), one at
        least. save() is called after each."""
        for number in range(self.plan.pairs):
            left = self.plan.seconds(number)
            if not self._round_in_time(number, self.plan.of_round(number), deadline,
                                       self.plan.pairs, left):
                self.progress.say(f"time is up: {number} of {self.plan.pairs} rounds")
                return
            self.document["settings"]["rounds"] = number + 1
            save()

    def pair_on(self, deadline, save, wanted):
        """Further rounds, two at a time, of the items whose (title, contender) is among wanted(),
        until there are none or the deadline would be missed."""
        rounds = self.document["settings"]["rounds"]
        first = number = rounds + rounds % 2  # where a couple begins
        while True:
            if number % 2 == 0:
                names = wanted()
                items = [item for item in self.plan.items
                         if (item.title, item.contender) in names and not item.control]
            if not items or not self._round_in_time(number, items, deadline):
                break
            number += 1
            self.document["settings"]["more_rounds"] = number - first
            save()
        if items:
            titles = dict.fromkeys(item.title for item in items)
            self.progress.say(f"time is up: more was wanted of {', '.join(titles)}")

    def _round_in_time(self, number, items, deadline, of=None, left=0.0):
        """Makes a round unless it would end after the deadline; the first is made in any case."""
        expected = sum(map(self.plan.seconds_of, items))
        if number and self.clock() + expected * self.pace > deadline:
            return False
        start = self.clock()
        done = self._round(number, items)
        took = self.clock() - start
        self.pace = took / expected if expected else 1.0
        where = f"of {of}" if of else "to decide targets"
        to_go = f", {minutes((left - expected) * self.pace)} to go" if of else ""
        self.progress.say(f"round {number + 1} {where}: {done} samples in {took:.0f} s{to_go}")
        return True

    def _round(self, number, items):
        done = 0
        for position, item in enumerate(self.plan.order(number, items)):
            if item not in self.plan.items:
                continue
            sample = self._sample(item, first=number == 0)
            if sample is None:
                continue
            done += 1
            self.samples.append({
                "workload": item.title, "contender": item.contender, "control": item.control,
                "round": number, "position": position, **item.workload.told(item.parameter),
                **sample})
            self.progress.step(f"[{number + 1}] {told(item, sample)}")
        return done

    def _sample(self, item, first):
        if item.workload.leaves.on_disk:
            os.sync()  # the last one's unwritten pages are not this one's burden
        try:
            if item.program is None:
                counted = first and not item.control and item.workload.compared
                return self._driver_sample(item, syscalls=counted)
            sample = self.outside.sample(item.program, item.workload, self.plan.options(item),
                                         item.parameter)
            if first:
                sample.update(self.outside.count_syscalls(item.program, item.workload))
            return sample
        except Failed as failure:
            self._fail(item.workload.name, item.contender, str(failure))
            return None

    def _driver_sample(self, item, syscalls):
        before = self.napi_cpu()
        sample = self.driver.sample(item.workload.name, item.contender, item.parameter,
                                    item.control, syscalls=syscalls,
                                    options=(*self.options, *item.address,
                                             *self.plan.options(item)))
        # With another pass in it that counts system calls, it would be too much.
        if before is not None and not syscalls:
            sample["napi_cpu_s"] = rounded(self.napi_cpu() - before)
        return sample

    def grow(self, contender):
        """One stream of 1 GiB and one of 64 GiB: does memory grow with the bytes received?"""
        memory = workloads.MEMORY
        for size in workloads.MEMORY_SIZES:
            self.progress.step(f"memory: {contender}, one stream of {size}iB")
            try:
                sample = self.driver.sample("bulk", contender,
                                            options=(*self.options, f"--bytes={size}"))
            except Failed as failure:
                self._fail(memory.name, contender, str(failure))
                return
            self.samples.append({"workload": memory.name, "contender": contender, "control": False,
                                 "round": 0, **memory.told(size), **sample})


def told(item, sample):
    """One sample in a few words."""
    keys = item.workload.figures.judged
    figures = [f"{metrics.written(name, sample[name])} {metrics.METRICS[name].heading}"
               for name in keys if sample.get(name) is not None]
    return f"{item.title} {item.contender}: {', '.join(figures)}"


def minutes(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def file_system(path):
    """The type of the file system that a path is on."""
    path, best = pathlib.Path(path).resolve(), ("", "unknown")
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount = before.split()[4]
        if path.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, after.split()[0])
    return best[1]


def empty_document(stamp, settings, auto, contenders):
    return {"format": results.FORMAT, "auto": auto, "stamp": stamp, "settings": settings,
            "contenders": contenders, "skipped": [], "failed": [], "samples": []}
