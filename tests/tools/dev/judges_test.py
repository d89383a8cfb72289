"""Programs that are not ours judge what ours say and store: curl the HTTP, sha256sum the hash
chain, protoc the bodies of records. The frames are read here from their description alone, by none
of our code (events/log/segment_frame.hpp, record_header.hpp)."""

import json
import re
import struct
import subprocess
import sys
import unittest
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from harness import make_site, program, scratch, simulated_daemon, vm_body  # noqa: E402

COMMIT_HEADER, CLAIM_HEADER = 76, 88


def curl(daemon, *arguments, token=True):
    """(status, content type, body) of the last request that curl makes; with several, those behind
    the first must go over its connection."""
    who = ["-H", f"Authorization: Bearer {daemon.token()}"] if token else []
    done = subprocess.run(["curl", "-sS", "--http1.1", "--max-time", "60", *who, "-w",
                           "\n%{num_connects} %{http_code} %{content_type}", *arguments],
                          capture_output=True, text=True, check=True)
    body, _, last = done.stdout.rpartition("\n")
    connects, status, kind = last.split(" ", 2)
    several = sum(1 for word in arguments if word.startswith("http")) > 1
    assert int(connects) == (0 if several else 1), done.stdout
    return int(status), kind, body


def records(folder):
    """The partition and the bytes of every record of a log directory, in order."""
    found = []
    for file in sorted(folder.glob("*.seg")):
        data = file.read_bytes()
        assert data[:8] == b"OrrSeg1\n", file
        at = 48
        while data[at : at + 4] == b"oFr1":
            size = struct.unpack_from("<I", data, at + 4)[0]
            partition, kind = struct.unpack_from("<HB", data, at + 32)
            if kind == 1:
                found.append((partition, data[at + 48 : at + 48 + size]))
            at += 48 + (size + 7) // 8 * 8
    return found


def sha256sum(data):
    done = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True)
    return bytes.fromhex(done.stdout.split()[0].decode())


def id_bytes(text):
    """An id as it is hashed and stored: both halves little endian."""
    return struct.pack("<QQ", *struct.unpack(">QQ", uuid.UUID(text).bytes))


def decode(body, message):
    done = subprocess.run(["protoc", "-I", str(ROOT), "-I", "/usr/include",
                           f"--decode=orrery.v1.{message}", "events/schema/record.proto"],
                          input=body, capture_output=True, check=True, cwd=ROOT)
    return done.stdout.decode()


class judges_test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = scratch()
        cls.addClassCleanup(folder.cleanup)
        cls.daemon = simulated_daemon(folder.name).start()
        cls.addClassCleanup(cls.daemon.process.kill)
        make_site(cls.daemon)
        cls.url = f"http://127.0.0.1:{cls.daemon.port}"
        body = json.dumps(vm_body())
        cls.made = curl(cls.daemon, "-d", body, f"{cls.url}/v1/vms")
        cls.daemon.ended(json.loads(cls.made[2])["job"]["id"])
        cls.answers = {
            "listed": curl(cls.daemon, f"{cls.url}/v1/vms"),
            "no token": curl(cls.daemon, f"{cls.url}/v1/vms", token=False),
            "bad body": curl(cls.daemon, "-d", "{", f"{cls.url}/v1/vms"),
            "two on one connection": curl(cls.daemon, f"{cls.url}/v1/jobs", f"{cls.url}/v1/jobs"),
            "chunked": curl(cls.daemon, "-H", "Transfer-Encoding: chunked", "-d",
                            json.dumps(vm_body("web-2")), f"{cls.url}/v1/vms"),
        }
        cls.daemon.ended(json.loads(cls.answers["chunked"][2])["job"]["id"])
        cls.daemon.settle()
        cls.daemon.stop()
        cls.log = cls.daemon.data / "log"
        cls.records = records(cls.log)

    def test_curl_is_answered_as_http_wants_it(self):
        self.assertEqual(self.made[0], 202)
        status, kind, body = self.answers["listed"]
        self.assertEqual((status, kind), (200, "application/json"))
        self.assertEqual([vm["name"] for vm in json.loads(body)["vms"]], ["web-1"])
        self.assertEqual(self.answers["chunked"][0], 202)
        self.assertEqual(self.answers["two on one connection"][0], 200)

    def test_curl_is_told_of_mistakes_by_problem_details(self):
        for what, status in (("no token", 401), ("bad body", 400)):
            self.assertEqual(self.answers[what][:2], (status, "application/problem+json"), what)
            self.assertEqual(json.loads(self.answers[what][2])["status"], status)

    def test_sha256sum_computes_the_same_chain(self):
        meta = (self.log / "log.meta").read_text()
        installation, log = (id_bytes(re.search(rf"^{key} (\S+)$", meta, re.MULTILINE)[1])
                             for key in ("installation", "log"))
        heads = {}
        commits = 0
        for partition, record in self.records:
            self.assertEqual(record[8:24], log)
            first = b"orrery-log-1" + installation + struct.pack("<H", partition) + log
            head = heads.get(partition) or sha256sum(first)
            if record[4] == 2:
                commits += 1
                self.assertEqual(record[40:72], head, f"record {commits} is not on the head")
            heads[partition] = sha256sum(head + record)
        self.assertGreater(commits, 5)
        self.assertGreater(len(heads), 1)
        said = subprocess.run([program("orrery"), "log", "verify", str(self.log)],
                              capture_output=True, text=True, check=True).stdout
        for head in heads.values():
            self.assertIn(head.hex(), said)

    def test_protoc_decodes_every_body_by_the_schema_alone(self):
        texts = []
        for _, record in self.records:
            claim = record[4] == 1
            body = record[CLAIM_HEADER if claim else COMMIT_HEADER :]
            texts.append(decode(body, "ClaimBody" if claim else "CommitBody"))
        for text in texts:  # a field that the schema lacks would stand there as a number
            self.assertIsNone(re.search(r"^\s*\d+[:{ ]", text, re.MULTILINE), text)
        self.assertTrue(any('name: "web-1"' in text for text in texts))


if __name__ == "__main__":
    unittest.main()
