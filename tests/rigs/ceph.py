# SPDX-License-Identifier: MIT
"""A real store: Ceph with a monitor, two OSDs that hold everything twice, and its gateway for S3,
on free ports of 127.0.0.1 and in a directory of its own. As a program it stays until its standard
input ends, and tells in a line of JSON what a client's environment needs, and its processes; each
line that it is given empties the bucket, and is answered by how many objects there were."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import uuid

from harness import DEADLINE, Stay, program, temporary_directory, until

ACCESS_KEY, SECRET_KEY = "AKCEPHTEST", "secret-of-the-ceph-test"

CONF = """\
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon}
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 2
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 8589934592
osd heartbeat interval = 1
osd heartbeat grace = 4
mon osd min down reporters = 1
mon osd down out interval = 600
mon osd adjust heartbeat grace = false
mon allow pool delete = true
mon data = {base}/mon
mgr data = {base}/mgr
osd data = {base}/osd-$id
rgw data = {base}/rgw
log file = {base}/$name.log
admin socket = {base}/$name.asok
pid file = {base}/$name.pid
run dir = {base}
crash dir = {base}
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw thread pool size = 64
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                   for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


class Ceph:
    """What anybody may do needs no signature. With a name, which stands for 127.0.0.1, it is at
    port 80, and buckets are names below its own."""

    def __init__(self, test, anybody=("s3:GetObject",), name=None):
        for needed in ("ceph-mon", "ceph-osd", "ceph-mgr", "radosgw", "radosgw-admin", "ceph"):
            program(needed)
        self.base = temporary_directory(test)
        self.running = {}
        self.mon, self.port = free_ports(2)
        self.host = f"127.0.0.1:{self.port}"
        if name:
            self.port, self.host = 80, name
        self.fsid = str(uuid.uuid4())
        self.conf = os.path.join(self.base, "ceph.conf")
        with open(self.conf, "w", encoding="ascii") as file:
            file.write(CONF.format(fsid=self.fsid, mon=self.mon, rgw=self.port,
                                   base=self.base))
            file.write(f"rgw dns name = {name}\n" if name else "")
        test.addCleanup(self.stop)
        self.begin()
        self.allow(anybody)

    def run(self, name, *arguments):
        done = subprocess.run([program(name), "-c", self.conf, *arguments], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE * 2)
        if done.returncode:
            raise AssertionError(f"{name} {arguments}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def start(self, called, name, *arguments):
        """Without the monitor's settings: a program that asks for them takes the cluster's identity
        from its answer, which may come after the first command, and an OSD whose command names none
        ends."""
        with open(self.errors_of(called), "wb") as errors:
            self.running[called] = subprocess.Popen(
                [program(name), "-c", self.conf, "--no-mon-config", "-f", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)

    def errors_of(self, called):
        return os.path.join(self.base, called + ".errors")

    def is_up(self, called):
        """By its log: on a busy machine, to ask the cluster takes seconds."""
        if self.running[called].poll() is not None:
            with open(self.errors_of(called), encoding="utf-8", errors="replace") as errors:
                raise AssertionError(f"{called} ended at its start: {errors.read()[-2000:]}")
        with open(os.path.join(self.base, called + ".log"), encoding="utf-8",
                  errors="replace") as log:
            return "state: booting -> active" in log.read()

    def begin(self):
        for name in ("mon", "mgr", "osd-0", "osd-1", "rgw"):
            os.mkdir(os.path.join(self.base, name))
        os.rmdir(os.path.join(self.base, "mon"))
        monmap = os.path.join(self.base, "monmap")
        subprocess.run([program("monmaptool"), "--create", "--addv", "a",
                        f"[v1:127.0.0.1:{self.mon}]", "--fsid", self.fsid, monmap], check=True,
                       stdout=subprocess.DEVNULL, timeout=DEADLINE)
        os.mkdir(os.path.join(self.base, "mon"))
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self.start("mon", "ceph-mon", "-i", "a")
        self.start("mgr", "ceph-mgr", "-i", "x")
        for _ in range(2):
            self.add_osd()
        for called in ("osd.0", "osd.1"):
            until(lambda called=called: self.is_up(called), called)
        self.start("rgw", "radosgw", "-n", "client.rgw")
        self.run("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=t",
                 "--display-name=t", "--access-key=" + ACCESS_KEY, "--secret-key=" + SECRET_KEY)
        until(self.answers, "the gateway")
        self.aws("s3", "mb", "s3://bucket")

    def allow(self, anybody):
        """awscli takes a second for each object, and curl can't sign."""
        self.aws("s3api", "put-bucket-policy", "--bucket", "bucket", "--policy", json.dumps(
            {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Principal": "*", "Action": anybody,
                            "Resource": "arn:aws:s3:::bucket/*"}]}))

    def add_osd(self):
        name = str(uuid.uuid4())
        number = self.run("ceph", "osd", "new", name)
        self.run("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", name)
        self.start("osd." + number, "ceph-osd", "-i", number)

    def answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self, called):
        self.running[called].send_signal(signal.SIGKILL)
        self.running.pop(called).wait()

    def stop(self):
        """The gateway first; each is waited for, or it disturbs the next cluster."""
        for called in reversed(list(self.running)):
            process = self.running.pop(called)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def endpoint(self):
        return "http://" + self.host

    @property
    def environment(self):
        return {**{name: value for name, value in os.environ.items()
                   if not name.startswith("AWS_")},
                "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": self.endpoint}

    def aws_command(self, *arguments):
        """That of Debian; its interpreter is not ours."""
        aws = "/usr/bin/aws" if os.path.exists("/usr/bin/aws") else program("aws")
        return [aws, "--endpoint-url", self.endpoint, *arguments]

    def aws(self, *arguments, **popen):
        return subprocess.run(self.aws_command(*arguments), env=self.environment, check=True,
                              stdout=subprocess.PIPE, timeout=DEADLINE * 5, **popen).stdout

    # -- what it holds

    def keys(self):
        listed = self.aws("s3api", "list-objects-v2", "--bucket", "bucket", "--query",
                          "Contents[].Key", "--output", "text").decode().split()
        return [key for key in listed if key != "None"]

    def uploads(self):
        listed = self.aws("s3api", "list-multipart-uploads", "--bucket", "bucket", "--query",
                          "Uploads[].Key", "--output", "text").decode().split()
        return [key for key in listed if key != "None"]

    def empty(self):
        """At once, where the store itself would keep what it holds for hours."""
        keys = self.keys()
        self.aws("s3", "rm", "--quiet", "--recursive", "s3://bucket/")
        self.run("radosgw-admin", "-n", "client.rgw", "gc", "process", "--include-all")
        return len(keys)

    def read(self, key):
        """Pieces of the object."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE * 5)
        connection.request("GET", f"/bucket/{key}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        while piece := answer.read(1 << 20):
            yield piece
        connection.close()


def main():
    with Stay() as stay:
        ceph = Ceph(stay, anybody=("s3:GetObject", "s3:PutObject"))
        print(json.dumps({"environment": ceph.environment, "aws": ceph.aws_command()[0],
                          "processes": [process.pid for process in ceph.running.values()]}),
              flush=True)
        for _ in sys.stdin:
            print(ceph.empty(), flush=True)


if __name__ == "__main__":
    main()
