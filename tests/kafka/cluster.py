"""A real Apache Kafka on the loopback, for as long as its caller lives.

    python3 cluster.py --brokers 3

Prints `ready HOST:PORT,…` and then does what the lines on its standard input say, answering each
with `ok` or `error TEXT` (a tool's own output comes before, each line after `| `):

    kill N        SIGKILL to broker N (from 1) and wait until it is gone
    stop N        the orderly way: SIGTERM, and wait
    launch N      start it again on its old data
    start N       the same, unless that was done, and wait until it listens
    pause N       SIGSTOP
    resume N      SIGCONT
    cut N TOPIC PARTITION BYTES
                  while broker N is down: take the last bytes off that partition, as a power cut may
    rewrite N TOPIC BYTES COUNT
                  stop the caller (SIGSTOP); kill broker N, cut partition 0, start it, have Kafka's
                  own producer write COUNT other records; let the caller go on, who saw nothing
    tool CLASS ARGUMENTS…
                  run one of Kafka's own command-line tools

With `--secure` the brokers have TLS, logins and ACLs (secure.properties) by a CA of their own, and
print `ready LOGIN-SERVERS CERTIFICATE-SERVERS CLIENTS`. For each of USERS the folder CLIENTS holds
the settings of a client of librdkafka, `NAME.login` and `NAME.certificate`; `admin.tool` is for
Kafka's own tools, `impostor.certificate` is by a wrong CA.

At the end of the input all brokers are ended and their data is deleted. A broker dies with this
process, however it dies (PR_SET_PDEATHSIG). The jars come from Maven once, into build/cache/kafka.
"""

import argparse
import base64
import ctypes
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "cache" / "kafka"
DEPLOY = HERE.parents[1] / "deploy" / "kafka"
POM = DEPLOY / "pom.xml"
HEAP = "-Xmx384m"
# Quick to start rather than quick in the long run.
JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
                f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.properties'}")
# Who may come in; `admin` may do everything, the others what ACLs allow.
USERS = ("admin", "init", "orreryd", "reader", "stranger", "newcomer")
OPENSSL_LIMIT_S = 60  # a key of an elliptic curve takes 10 ms
LISTEN_LIMIT_S = 120  # a start takes 5 s on a quiet machine, 30 s were seen on a busy one
END_LIMIT_S = 30  # an orderly end; then SIGKILL
TOOL_LIMIT_S = 120
FETCH_LIMIT_S = 600  # 2 minutes with an empty local repository
PR_SET_PDEATHSIG = 1


class cluster_error(Exception):
    """What went wrong, for whoever runs the test."""


def fetch():
    """The folder with the jars of pom.xml; has Maven bring them the first time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = POM.read_text(encoding="utf-8")
    libs, mark = CACHE / "libs", CACHE / "pom.xml"
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
            return libs
        shutil.rmtree(libs, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies",
             f"-DoutputDirectory={libs}", "-DincludeScope=runtime"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_LIMIT_S,
            check=False)
        if done.returncode != 0:
            raise cluster_error(f"Maven could not bring Kafka's jars: {done.stdout[-2000:]}")
        mark.write_text(wanted, encoding="utf-8")
    return libs


def java(libs, heap, *words):
    return ["java", heap, *JAVA_OPTIONS, "-cp", f"{libs}/*", *words]


# Below the range from which the kernel gives ports to connections: while a broker is down, nothing
# else may come to sit on its port.
PORTS = range(12000, 20000)
reserved = []  # files that are locked until this process ends


def reserve(port):
    """True when the port is ours from now on: no other cluster's, though its broker may be down."""
    lock = open(Path(tempfile.gettempdir(), f"orrery-kafka-port-{port}"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        lock.close()
        return False
    reserved.append(lock)
    return True


def free_ports(count):
    """Ports that nobody uses as long as this process lives."""
    found = []
    while len(found) < count:
        port = random.choice(PORTS)
        if reserve(port):
            found.append(port)
    return found


def random_id():
    """16 random bytes as Kafka writes them, not beginning with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def openssl(folder, *words):
    done = subprocess.run(["openssl", *words], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=OPENSSL_LIMIT_S, check=False)
    if done.returncode != 0:
        raise cluster_error(f"openssl {' '.join(words)}: {done.stderr[-1000:]}")


def new_key(folder, name):
    """An unencrypted PKCS#8 key, the one form that both Kafka and librdkafka read."""
    openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
            f"{name}.key")


class certificate_authority:
    """A throw-away CA in a folder, with a key and a certificate for whoever it is asked for."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        new_key(folder, "ca")
        openssl(folder, "req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=ca", "-days", "2",
                "-out", "ca.pem")

    def certify(self, name):
        """NAME.key and NAME.crt; both, and the CA's, in NAME.pem, as Kafka wants them."""
        new_key(self.folder, name)
        openssl(self.folder, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out",
                f"{name}.csr")
        Path(self.folder, "extensions").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
            "extendedKeyUsage=serverAuth,clientAuth\n", encoding="utf-8")
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey",
                "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out",
                f"{name}.crt")
        Path(self.folder, f"{name}.pem").write_text(
            "".join(Path(self.folder, part).read_text(encoding="utf-8")
                    for part in (f"{name}.key", f"{name}.crt", "ca.pem")), encoding="utf-8")

    def write_settings(self, name, password):
        """How a client comes in, by login and by certificate."""
        ca = self.folder / "ca.pem"
        Path(self.folder, f"{name}.login").write_text(
            "security.protocol=sasl_ssl\n"
            f"ssl.ca.location={ca}\n"
            "sasl.mechanism=PLAIN\n"
            f"sasl.username={name}\n"
            f"sasl.password={password}\n", encoding="utf-8")
        Path(self.folder, f"{name}.certificate").write_text(
            "security.protocol=ssl\n"
            f"ssl.ca.location={ca}\n"
            f"ssl.certificate.location={self.folder / name}.crt\n"
            f"ssl.key.location={self.folder / name}.key\n", encoding="utf-8")

    def write_tool_settings(self, name):
        Path(self.folder, f"{name}.tool").write_text(
            "security.protocol=SSL\n"
            "ssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.folder / 'ca.pem'}\n"
            "ssl.keystore.type=PEM\n"
            f"ssl.keystore.location={self.folder / name}.pem\n", encoding="utf-8")


class node:
    """One broker: its folder, its ports, its process when it runs."""

    def __init__(self, number, folder, port, certificate_port):
        self.number = number
        self.folder = folder
        self.data = folder / "data"
        self.properties = folder / "server.properties"
        self.output = folder / "output"
        self.port = port
        self.certificate_port = certificate_port
        self.process = None

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def last_words(self):
        return self.output.read_text(encoding="utf-8", errors="replace")[-3000:]


class cluster:
    """Brokers 1 to `count` under one folder, which is deleted in the end. Clients find them at
    `host`, an address of this machine or of the network namespace that we are in."""

    def __init__(self, count, is_secure, host="127.0.0.1"):
        self.libs = fetch()
        self.host = host
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="orrery-kafka-", dir=parent))
        self.nodes = {}
        self.clients = self.folder / "clients" if is_secure else None
        try:
            form = "".join((folder / "broker.properties").read_text(encoding="utf-8")
                           for folder in (DEPLOY, HERE))
            if is_secure:
                form += (HERE / "secure.properties").read_text(encoding="utf-8").replace(
                    "{logins}", self._admit_users())
            self._lay_out(count, form)
            for one in self.nodes.values():
                self._launch(one)
            for one in self.nodes.values():
                self._await_listening(one)
        except BaseException:
            self.end()
            raise

    def servers(self):
        return ",".join(f"{self.host}:{one.port}" for one in self.nodes.values())

    def ready(self):
        """What a caller needs to know."""
        if self.clients is None:
            return self.servers()
        by_certificate = ",".join(f"127.0.0.1:{one.certificate_port}"
                                  for one in self.nodes.values())
        return f"{self.servers()} {by_certificate} {self.clients}"

    def _admit_users(self):
        """Makes keys and passwords; the users as the login's module wants them."""
        authority = certificate_authority(self.clients)
        authority.certify("broker")
        logins = []
        for name in USERS:
            password = random_id()
            authority.certify(name)
            authority.write_settings(name, password)
            logins.append(f'user_{name}="{password}"')
        authority.write_tool_settings("admin")
        self._make_impostor()
        return " ".join(logins)

    def _make_impostor(self):
        """`impostor.certificate`: has the name of an owner, by an authority that nobody knows."""
        other = certificate_authority(self.clients / "other")
        other.certify("orreryd")
        mine = (self.clients / "orreryd.certificate").read_text(encoding="utf-8")
        Path(self.clients, "impostor.certificate").write_text(
            mine.replace(f"{self.clients}/orreryd", f"{other.folder}/orreryd"), encoding="utf-8")

    def _lay_out(self, count, form):
        ports = free_ports(3 * count)
        voters = ",".join(f"{n + 1}@127.0.0.1:{ports[count + n]}" for n in range(count))
        cluster_id = random_id()
        formatting = []
        for n in range(count):
            folder = self.folder / str(n + 1)
            folder.mkdir()
            one = node(n + 1, folder, ports[n], ports[2 * count + n])
            one.properties.write_text(form.format(
                node=one.number, voters=voters, host=self.host, port=one.port,
                voter_port=ports[count + n], data=one.data, replication=count,
                certificate_port=one.certificate_port, folder=self.clients), encoding="utf-8")
            self.nodes[one.number] = one
            formatting.append((one, subprocess.Popen(
                java(self.libs, "-Xmx128m", "kafka.tools.StorageTool", "format", "-t", cluster_id,
                     "-c", str(one.properties)),
                stdin=subprocess.DEVNULL, stdout=open(one.output, "wb"),
                stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)))
        for one, process in formatting:
            if process.wait(LISTEN_LIMIT_S) != 0:
                raise cluster_error(f"formatting broker {one.number}: {one.last_words()}")

    def _launch(self, one):
        one.process = subprocess.Popen(
            java(self.libs, HEAP, "kafka.Kafka", str(one.properties)),
            stdin=subprocess.DEVNULL, stdout=open(one.output, "ab"), stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent)

    def _await_listening(self, one):
        deadline = time.monotonic() + LISTEN_LIMIT_S
        while True:
            if not one.is_running():
                raise cluster_error(f"broker {one.number} ended: {one.last_words()}")
            try:
                socket.create_connection((self.host, one.port), timeout=1).close()
                return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise cluster_error(f"broker {one.number} does not listen: {one.last_words()}")
            time.sleep(0.05)

    def _end(self, one, how):
        if one.is_running():
            one.process.send_signal(signal.SIGCONT)  # a paused one hears nothing
            one.process.send_signal(how)
            try:
                one.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()

    def end(self):
        """Ends every broker and deletes everything. May be called again."""
        for one in self.nodes.values():
            self._end(one, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what a line of the input can ask for ---

    def kill(self, number):
        self._end(self.nodes[int(number)], signal.SIGKILL)

    def stop(self, number):
        self._end(self.nodes[int(number)], signal.SIGTERM)

    def launch(self, number):
        one = self.nodes[int(number)]
        if not one.is_running():
            self._launch(one)

    def start(self, number):
        self.launch(number)
        self._await_listening(self.nodes[int(number)])

    def pause(self, number):
        self.nodes[int(number)].process.send_signal(signal.SIGSTOP)

    def resume(self, number):
        self.nodes[int(number)].process.send_signal(signal.SIGCONT)

    def cut(self, number, topic, partition, size):
        one = self.nodes[int(number)]
        if one.is_running():
            raise cluster_error(f"broker {number} runs")
        segment = max((one.data / f"{topic}-{partition}").glob("*.log"))
        os.truncate(segment, max(0, segment.stat().st_size - int(size)))

    def rewrite(self, number, topic, size, count):
        caller = os.getppid()
        os.kill(caller, signal.SIGSTOP)
        try:
            self.kill(number)
            self.cut(number, topic, 0, size)
            self.start(number)
            self.produce(topic, "another record\n" * int(count))
        finally:
            os.kill(caller, signal.SIGCONT)

    def tool(self, name, *arguments):
        for line in self.ask_tool(name, *arguments).splitlines():
            print(f"| {line}", flush=True)

    # --- for callers in Python ---

    def produce(self, topic, lines):
        """Has Kafka's own producer write a record for each line."""
        self.ask_tool("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server",
                      self.servers(), "--topic", topic, text=lines)

    def ask_tool(self, name, *arguments, text=""):
        """What one of Kafka's own command-line tools says. `text`: what it reads."""
        done = subprocess.run(java(self.libs, "-Xmx128m", name, *arguments), input=text,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TOOL_LIMIT_S, check=False)
        if done.returncode != 0:
            raise cluster_error(f"{name} ended with {done.returncode}: {done.stdout[-1000:]}")
        return done.stdout

    def leader(self, topic, partition):
        """The number of the broker that leads a partition of a topic."""
        said = self.ask_tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server",
                             self.servers(), "--describe", "--topic", topic)
        return int(re.search(rf"Partition: {partition}\s+Leader: (\d+)", said)[1])


def serve(brokers):
    commands = {name: getattr(brokers, name)
                for name in ("kill", "stop", "launch", "start", "pause", "resume", "cut", "rewrite",
                             "tool")}
    for line in sys.stdin:
        words = line.split()
        try:
            commands[words[0]](*words[1:])
            print("ok", flush=True)
        except Exception as why:  # whatever it is, the test must hear it
            print("error", repr(why).replace("\n", " "), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", type=int, default=1, help="1 or 3")
    parser.add_argument("--secure", action="store_true", help="with TLS, logins and ACLs")
    parser.add_argument("--fetch", action="store_true", help="bring the jars and stop")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("cluster.py: told to end"))
    signal.signal(signal.SIGINT, lambda *_: sys.exit("cluster.py: told to end"))
    try:
        if options.fetch:
            fetch()
            return 0
        brokers = cluster(options.brokers, options.secure)
    except (cluster_error, OSError, subprocess.TimeoutExpired) as why:
        print("error", str(why).replace("\n", " "), flush=True)
        return 1
    try:
        print("ready", brokers.ready(), flush=True)
        serve(brokers)
    finally:
        brokers.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
