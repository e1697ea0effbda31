# SPDX-License-Identifier: MIT
"""A store that speaks S3, with every fault that a test may want. It checks each signature by
itself. As a program it stays until its standard input ends, and tells in a line of JSON what a
client's environment needs; it is told by a line `hold` to hold parts up, by `go` no longer to, and
answers each line by how many it was given so far."""

import calendar
import hashlib
import hmac
import http.server
import json
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from email.utils import formatdate

from harness import DEADLINE, Stay, program, temporary_directory

ACCESS_KEY, SECRET_KEY, REGION = "AKTESTKEY", "sekret/that+nobody=sees", "us-east-1"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Answer(Exception):
    """What a request is answered with, instead of what it would be."""

    def __init__(self, status, code="", body=None, headers=()):
        super().__init__(status, code)
        self.status = status
        self.body = body if body is not None else (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as the test wants it"
            f"</Message></Error>" if code else "").encode()
        self.headers = dict(headers)


class Hangup(Exception):
    """No answer: the connection is reset."""


# ---- faults: each is called with the request and what carries it out

def answer(status, code):
    def fault(request, carry_out):
        raise Answer(status, code)
    return fault


def error_inside(code="InternalError"):
    """The store says 200, and only then that it has failed."""
    return answer(200, code)


def lose_answer(request, carry_out):
    """It is done, and nobody hears of it."""
    carry_out()
    raise Hangup()


def cut_answer(request, carry_out):
    """It is done, and half of the answer comes."""
    done = carry_out()
    done.headers["Content-Length"] = str(len(done.body))
    done.body = done.body[:len(done.body) // 2]
    request.close_connection = True
    return done


def reset(request, carry_out):
    """Some of the body, then a reset."""
    request.read_some(100_000)
    raise Hangup()


def hold(gate):
    """As if nothing were wrong, once the gate is open."""
    def fault(request, carry_out):
        request.body()
        gate.wait(DEADLINE)
        return carry_out()
    return fault


def slow(request, carry_out):
    """Takes what it is sent in small pieces, and its time between them."""
    left, pieces = int(request.headers.get("Content-Length", 0)), []
    while left > 0 and (piece := request.rfile.read(min(left, 1 << 18))):
        pieces.append(piece)
        left -= len(piece)
        time.sleep(0.01)
    request.data = b"".join(pieces)
    return carry_out()


def truncate(request, carry_out):
    """Stores less than it was given, and says that all is well."""
    done = carry_out()
    store = request.server.store
    store.objects[request.key] = store.objects[request.key][:-1]
    return done


# ---- the store

def make_certificate(test):
    """Of 127.0.0.1, and its key: their paths."""
    directory = temporary_directory(test)
    paths = [os.path.join(directory, name) for name in ("certificate", "key")]
    subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=store", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-days", "2", "-out", paths[0], "-keyout",
                    paths[1]], check=True, stderr=subprocess.DEVNULL, timeout=DEADLINE)
    return paths


def element(name, *children):
    return f"<{name}>{''.join(children)}</{name}>"


class Store:
    """On a port of its host. `objects` is what it holds; `uploads` what is under way."""

    def __init__(self, test, buckets=("bucket",), https=False, host="127.0.0.1"):
        self.test = test
        self.buckets = buckets
        self.objects = {}
        self.uploads = {}
        self.faults = []
        self.log = []  # (operation, key, status), and what was in flight at most
        self.skew = 0
        self.tokens = set()  # of the sessions that have signed
        self.connections = 0
        self.lock = threading.Lock()
        self.served = threading.Condition(self.lock)
        self.https = https
        self.ca = None
        self.address = (host, 0)
        if https:
            self.ca, key = make_certificate(test)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.ca, key)
        self.begin()
        test.addCleanup(self.stop)

    def begin(self):
        """Begins, or again after a stop, at the same port."""
        self.server = Server(self.address, Handler)
        self.server.store = self
        self.address = self.server.server_address
        if self.https:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True,
                                                          do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self):
        """Connections are refused from now on; those that there are, are reset."""
        if not self.server:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server.hang_up()
        self.thread.join(DEADLINE)
        self.server = None

    @property
    def environment(self):
        scheme = "https" if self.https else "http"
        set_here = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"{scheme}://{self.address[0]}:{self.address[1]}",
            **({"AWS_CA_BUNDLE": self.ca} if self.ca else {}),
        }
        return {**{name: value for name, value in os.environ.items()
                   if not name.startswith("AWS_")}, **set_here}

    def fail(self, operation, fault, times=1, after=0):
        """The next times of an operation go wrong so, once after of them have gone well."""
        with self.lock:
            self.faults.append([operation, fault, times, after])

    def take_fault(self, operation):
        with self.lock:
            for fault in self.faults:
                if fault[0] != operation or fault[2] == 0:
                    continue
                if fault[3] > 0:
                    fault[3] -= 1
                    continue
                fault[2] -= 1
                return fault[1]
        return None

    def note(self, operation, key, status):
        with self.served:
            self.log.append((operation, key, status))
            self.served.notify_all()

    def count(self, operation):
        return sum(1 for entry in self.log if entry[0] == operation)

    def wait_for(self, operation, count=1):
        with self.served:
            if not self.served.wait_for(lambda: self.count(operation) >= count, DEADLINE):
                raise AssertionError(f"no {count} of {operation}: {self.log}")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.open = set()

    def get_request(self):
        connection, peer = super().get_request()
        self.open.add(connection)
        self.store.connections += 1
        return connection, peer

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        for connection in list(self.open):
            abort(connection)

    def handle_error(self, request, client_address):
        pass  # peers that have gone


def abort(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    except OSError:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def store(self):
        return self.server.store

    # -- the request

    def read_some(self, size):
        return self.rfile.read(min(size, int(self.headers.get("Content-Length", 0))))

    def body(self):
        if self.data is None:
            size = int(self.headers.get("Content-Length", 0))
            self.data = self.rfile.read(size)
            if len(self.data) < size:
                raise Hangup()
        return self.data

    def take_apart(self):
        path, _, query = self.path.partition("?")
        self.raw_path, self.raw_query = path, query
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        _, self.bucket, *rest = urllib.parse.unquote(path).split("/", 2)
        self.key = rest[0] if rest else ""
        self.data = None

    def operation(self):
        if not self.key:
            return "list"
        if self.command == "POST":
            return "create" if "uploads" in self.query else "complete"
        if self.command == "PUT":
            return "part" if "partNumber" in self.query else "put"
        return {"HEAD": "head", "DELETE": "abort", "GET": "get"}[self.command]

    # -- who asks

    def check_signature(self):
        fields = dict(field.strip().split("=", 1) for field in
                      self.headers["Authorization"].split(" ", 1)[1].split(","))
        key, date, region, service, _ = fields["Credential"].split("/")
        if key != ACCESS_KEY:
            raise Answer(403, "InvalidAccessKeyId")
        stamp = self.headers["x-amz-date"]
        now = time.time() + self.store.skew
        if abs(now - calendar_seconds(stamp)) > 900:
            raise Answer(403, "RequestTimeTooSkewed")
        payload = self.headers["x-amz-content-sha256"]
        names = fields["SignedHeaders"].split(";")
        assert {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names)
        if "x-amz-security-token" in names:
            self.store.tokens.add(self.headers["x-amz-security-token"])
        canonical = "\n".join((
            self.command, self.raw_path, "&".join(sorted(self.raw_query.split("&"))),
            *(f"{name}:{self.headers[name].strip()}" for name in names), "", ";".join(names),
            payload))
        scope = f"{date}/{region}/{service}/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()))
        secret = ("AWS4" + SECRET_KEY).encode()
        for word in (date, REGION, "s3", "aws4_request", text):
            secret = hmac.new(secret, word.encode(), hashlib.sha256).digest()
        if secret.hex() != fields["Signature"]:
            raise Answer(403, "SignatureDoesNotMatch")
        if payload == "UNSIGNED-PAYLOAD":
            assert self.store.https, "unsigned, and nothing else protects it"
        elif hashlib.sha256(self.body()).hexdigest() != payload:
            raise Answer(400, "XAmzContentSHA256Mismatch")

    # -- what it asks for

    def create(self):
        store = self.store
        with store.lock:
            upload_id = f"2~id+{len(store.log)}/{len(store.uploads)}"
            store.uploads[upload_id] = {"key": self.key, "parts": {}}
        return self.document("InitiateMultipartUploadResult", element("UploadId", upload_id))

    def find_upload(self):
        upload = self.store.uploads.get(self.query["uploadId"])
        if not upload or upload["key"] != self.key:
            raise Answer(404, "NoSuchUpload")
        return upload

    def part(self):
        self.find_upload()["parts"][int(self.query["partNumber"])] = self.body()
        return Answer(200, headers={"ETag": f'"{hashlib.md5(self.body()).hexdigest()}"'})

    def put(self):
        self.store.objects[self.key] = self.body()
        return Answer(200, headers={"ETag": f'"{hashlib.md5(self.body()).hexdigest()}"'})

    def complete(self):
        upload = self.find_upload()
        parts = [(int(part.findtext(f"{{{NAMESPACE}}}PartNumber")),
                  part.findtext(f"{{{NAMESPACE}}}ETag"))
                 for part in ElementTree.fromstring(self.body())]
        pieces = []
        for number, etag in parts:
            piece = upload["parts"].get(number)
            if piece is None or etag != f'"{hashlib.md5(piece).hexdigest()}"':
                raise Answer(400, "InvalidPart")
            pieces.append(piece)
        if not pieces or sorted(parts) != parts:
            raise Answer(400, "InvalidPartOrder")
        if any(len(piece) < 5 << 20 for piece in pieces[:-1]):
            raise Answer(400, "EntityTooSmall")
        del self.store.uploads[self.query["uploadId"]]
        self.store.objects[self.key] = b"".join(pieces)
        return self.document("CompleteMultipartUploadResult", element("ETag", '"x-1"'))

    def abort(self):
        self.find_upload()
        del self.store.uploads[self.query["uploadId"]]
        return Answer(204)

    def head(self):
        data = self.store.objects.get(self.key)
        if data is None:
            raise Answer(404)
        return Answer(200, headers={"Content-Length": str(len(data))})

    def list(self):
        """Two on a page, so that there are pages."""
        prefix, marker = self.query.get("prefix", ""), self.query.get("key-marker", "")
        found = sorted((upload["key"], upload_id) for upload_id, upload in
                       self.store.uploads.items() if upload["key"].startswith(prefix))
        found = [pair for pair in found
                 if not marker or pair > (marker, self.query.get("upload-id-marker", ""))]
        page = found[:2]
        more = len(found) > 2
        return self.document(
            "ListMultipartUploadsResult", element("IsTruncated", "true" if more else "false"),
            *((element("NextKeyMarker", page[-1][0]), element("NextUploadIdMarker", page[-1][1]))
              if more else ()),
            *(element("Upload", element("Key", key), element("UploadId", upload_id))
              for key, upload_id in page))

    def document(self, name, *children):
        return Answer(200, body=(f'<?xml version="1.0"?>\n<{name} xmlns="{NAMESPACE}">'
                                 f"{''.join(children)}</{name}>").encode())

    # -- how it is answered

    def carry_out(self):
        self.body()
        if self.bucket not in self.store.buckets:
            raise Answer(404, "NoSuchBucket")
        return getattr(self, self.operation())()

    def serve(self):
        self.take_apart()
        operation, done = self.operation(), None
        try:
            done = self.decide(operation)
            self.reply(done)
        except OSError:
            self.close_connection = True
        except Hangup:
            self.close_connection = True
            abort(self.connection)
        finally:
            self.store.note(operation, self.key, done.status if done else 0)

    def decide(self, operation):
        fault = self.store.take_fault(operation)
        try:
            if fault:
                return fault(self, self.carry_out)
            self.check_signature()
            return self.carry_out()
        except Answer as other:
            self.body()
            return other

    def reply(self, done):
        self.send_response(done.status)
        done.headers.setdefault("Content-Length", str(len(done.body)))
        for name, value in done.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(done.body)
        self.wfile.flush()

    def date_time_string(self, timestamp=None):
        return formatdate(time.time() + self.store.skew, usegmt=True)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


def calendar_seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def main():
    gate, given = threading.Event(), []
    gate.set()

    def take(request, carry_out):
        given.append(request.key)
        return hold(gate)(request, carry_out)

    with Stay() as stay:
        store = Store(stay)
        stay.callback(gate.set)
        store.fail("part", take, times=-1)
        print(json.dumps({"environment": store.environment}), flush=True)
        for line in sys.stdin:
            if line == "hold\n":
                gate.clear()
                store.objects.clear()  # nobody reads them
            elif line == "go\n":
                gate.set()
            print(len(given), flush=True)


if __name__ == "__main__":
    main()
