"""Data directories, keys and files that are not what a start expects: refused with the next step, and nothing of them is lost.

What this is: a member keeps a value; then one thing about its directory is made wrong, the start must be refused and change
nothing (names, modes, owners, bytes), the thing is put right again, and the value must be there. Data of others (real etcd's,
foreign files) must be left as they were.
"""

import contextlib
import glob
import hashlib
import os
import shutil
import signal
import subprocess

from checks import fault, refused, run, unlike
from member import Member, tool
from up import Up, clean_environment

NEXT = r"next: .{10}"


def digest(*directories):
    """What directories hold: every name below them, and their own, with mode, owner, and for a file a hash of its content."""
    found = {}
    for directory in directories:
        for parent, names, files in os.walk(directory):
            for path in [parent, *(os.path.join(parent, name) for name in names + files)]:
                stat = os.lstat(path)
                content = hashlib.sha256(open(path, "rb").read()).hexdigest() if os.path.isfile(path) else ""
                found[path] = (oct(stat.st_mode), stat.st_uid, content)
    return found


def unlike_before(before, *directories):
    """A look afterwards: what a refused start has changed."""

    def look():
        now = digest(*directories)
        changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        return f"the refused start changed {', '.join(changed)}" if changed else None

    return look


def etcdctl(server, *arguments, within=10):
    """The real etcdctl as the member's administrator: (exit code, output)."""
    code, text, _ = run([tool("etcdctl"), *server.client_flags(), *arguments], server.directory, within=within)
    return code, text


def keeps(server, key, value):
    """A look afterwards: started again, it serves and has the value."""

    def look():
        try:
            server.start(within_seconds=15)
        except SystemExit as error:
            return f"does not start any more once the mistake is undone:\n{error}"
        try:
            code, text = etcdctl(server, "get", key, "--print-value-only")
            return None if code == 0 and text.strip() == value else f"the value is gone: {text[-500:]}"
        finally:
            server.stop()

    return look


@contextlib.contextmanager
def moved(path, to):
    os.rename(path, to)
    yield
    os.rename(to, path)


@contextlib.contextmanager
def mode(path, bits):
    before = os.stat(path).st_mode & 0o7777
    os.chmod(path, bits)
    yield
    os.chmod(path, before)


@contextlib.contextmanager
def replaced(path, content):
    """Another content for a file (None: no file), its mode kept."""
    original, bits = open(path, "rb").read(), os.stat(path).st_mode & 0o7777

    def write(data):
        with open(path, "wb") as out:
            out.write(data)
        os.chmod(path, bits)

    os.remove(path) if content is None else write(content)
    yield
    write(original)


def flipped(path, at):
    """The content of a file with one bit changed."""
    data = bytearray(open(path, "rb").read())
    data[at if at >= 0 else len(data) + at] ^= 1
    return bytes(data)


class Case:
    """One thing wrong after the other with a member's directory, the start refused each time."""

    def __init__(self, checks, server, step, look, prefix=""):
        self.checks, self.server, self.step, self.look, self.prefix = checks, server, step, look, prefix
        self.keys = os.path.join(server.directory, "strongroom-keys")

    def __call__(self, name, wrong, cause, step=None, before_command=()):
        name = f"{self.prefix}{name}"
        with wrong:
            places = self.server.data_dir, self.keys
            after, command = unlike_before(digest(*places), *places), [*before_command, *self.server.command]
            refused(self.checks, name, command, self.server.directory, 1, cause, step or self.step, after=after)
        self.checks.all(f"{name}, put right", "starts again and has the value", self.look())


def in_any_personality(case, directory):
    """What is refused alike under both names: damage, newer formats, half a copy, a disk or an owner that lets nothing in."""
    data = case.server.data_dir
    keyring, log, store = (os.path.join(data, name) for name in ("keyring", "log", "store"))
    segment = sorted(glob.glob(os.path.join(log, "*.log")))[0]
    key = glob.glob(os.path.join(case.keys, "*.key"))[0]
    listed = sorted(glob.glob(os.path.join(store, "*.store")))
    away = os.path.join(directory, "away")

    def manifests():
        """The newest last; each start writes one more."""
        return sorted(glob.glob(os.path.join(data, "manifest-*")))


    case("one bit of the keyring changed", replaced(keyring, flipped(keyring, -40)), "keyring.*(tampered|wrong key)")
    case("one bit in the middle of the log changed", replaced(segment, flipped(segment, used(segment) // 2)), f"damaged: {segment} at byte")
    newer = "format version [0-9]+ is not known"
    case("keyring of a newer format", replaced(keyring, flipped(keyring, 8)), f"{keyring}: {newer}", "newer strongroom")
    case("log of a newer format", replaced(segment, flipped(segment, 8)), f"{segment}: {newer}", "newer strongroom")
    newest = manifests()[-1]
    case("manifest of a newer format", replaced(newest, flipped(newest, 8)), f"{newest}: {newer}", "newer strongroom")
    case("key file of a newer format", replaced(key, open(key, "rb").read().replace(b"key-1", b"key-2", 1)), f"{key}: .*newer strongroom")
    case("half a copy: no keyring", moved(keyring, away), "keyring is gone", "restore")
    case("half a copy: no manifest", all_moved(manifests(), away), "no manifest", "restore")
    case("half a copy: no log directory", moved(log, away), f"{log}.*No such file")
    case("half a copy: no store directory", moved(store, away), f"{store}.*(No such file|is not there)")
    # With an older manifest, from before that file, the log alone has everything, and a start goes on.
    missing = [listed[0], *manifests()[:-1]]
    case("half a copy: a store file and the older manifests missing", all_moved(missing, away), f"{listed[0]}.*is not there")
    case("half a copy: a foreign file in the log", added(os.path.join(log, "notes.txt")), "notes.txt.*does not belong there", "move it away")
    case("sealing key missing", moved(key, away), r"key [0-9a-f]+ not found; tried .*strongroom-keys")
    wrong = open(key, "rb").read().replace(b"\nkey ", b"\nkey 00", 1)[: os.path.getsize(key)]
    case("sealing key of another content", replaced(key, wrong), r"key file .*\.key")
    case("data directory on a read-only disk", read_only(data), f"{data}.*Read-only file system")
    others = [case.keys, os.path.join(case.server.directory, "data-pki"), os.path.join(case.server.directory, "home")]
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
    case("data directory of another user", owned([path for path in others if os.path.exists(path)], 65534), f"{data}.*Permission denied",
         before_command=as_nobody)


@contextlib.contextmanager
def all_moved(paths, to):
    with contextlib.ExitStack() as stack:
        for n, path in enumerate(paths):
            stack.enter_context(moved(path, f"{to}-{n}"))
        yield


@contextlib.contextmanager
def added(path):
    open(path, "x").close()
    yield
    os.remove(path)


@contextlib.contextmanager
def read_only(path):
    """A directory as a disk that was mounted read-only, as Linux does after an error; file modes do not stop root."""
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@contextlib.contextmanager
def owned(places, user):
    """Everything below these places belongs to a user."""
    before = {path: os.lstat(path).st_uid for path in digest(*places)}
    for path in before:
        os.chown(path, user, -1)
    yield
    for path, owner in before.items():
        os.chown(path, owner, -1)


def own_as_etcd(checks, binary, directory):
    """The same under the name of etcd."""
    server = Member(binary, os.path.join(directory, "member"), client_port=4379, peer_port=4380)
    etcdctl(server, "put", "kept", "value")
    server.stop()
    server.start()
    etcdctl(server, "put", "more", "x" * 3000)
    server.stop()
    in_any_personality(Case(checks, server, r'"hint":"[^"]{10}', keeps(server, "kept", "value"), "etcd: "), directory)


def own(checks, binary, directory):
    """A member's own directory, key and certificates."""
    with Up(binary, os.path.join(directory, "a", "member"), client_port=4379, peer_port=4380) as a:
        etcdctl(a, "put", "kept", "value-of-a")
        etcdctl(a, "put", "more", "x" * 3000)
    with Up(binary, os.path.join(directory, "b", "member"), client_port=4379, peer_port=4380) as b:
        etcdctl(b, "put", "kept", "value-of-b")
    key = glob.glob(os.path.join(a.directory, "strongroom-keys", "*.key"))[0]
    other_key = glob.glob(os.path.join(b.directory, "strongroom-keys", "*.key"))[0]
    look = keeps(a, "kept", "value-of-a")

    case = Case(checks, a, NEXT, look)
    case("data directory of mode 0755", mode(a.data_dir, 0o755), "mode 0755", "chmod 700")
    case("sealing key of mode 0644", mode(key, 0o644), "mode 0644", "chmod 600")
    case("certificate directory of mode 0755", mode(a.pki_dir, 0o755), "mode 0755", "chmod 700")
    case("sealing key moved away", moved(key, os.path.join(directory, "away.key")), r"key [0-9a-f]+ not found; tried .*strongroom-keys", NEXT)
    case(
        "another member's sealing key under this one's name",
        replaced(key, open(other_key, "rb").read()),
        "(?i)wrong key|is not key|another key|holds key|key file",
    )
    case("sealing key cut short", replaced(key, open(key, "rb").read()[:10]), r"\.key")
    case("sealing key empty", replaced(key, b""), r"\.key")
    log, other_log = os.path.join(a.data_dir, "log"), os.path.join(b.data_dir, "log")
    away = os.path.join(directory, "log-of-a")
    case(
        "log of another member in the data directory",
        swapped(log, other_log, away),
        "(?i)log.*(tampered|wrong key|another member|belongs|damaged)|(tampered|damaged).*log",
    )
    case(
        "data directory of another member whose key is elsewhere",
        swapped(a.data_dir, b.data_dir, os.path.join(directory, "data-of-a")),
        r"key [0-9a-f]+ not found",
    )
    in_any_personality(case, directory)
    a.start()
    etcdctl(a, "put", "kept", "newer-of-a")
    # After a sudden end the newest entries are in the log alone: to start without it would lose them without a word.
    a.kill()
    case.look = keeps(a, "kept", "newer-of-a")
    newest = sorted(glob.glob(os.path.join(a.data_dir, "log", "*.log")))[-1]
    case("log gone after a sudden end", replaced(newest, None), "(?i)log")
    store = sorted(glob.glob(os.path.join(a.data_dir, "store", "*.store")))[0]
    # The log still has everything, and a manifest from before that file is there: the start says what it passed over, and goes on.
    at = os.path.getsize(a.log_path)
    with replaced(store, b""):
        problem = case.look()
        said = f"damaged: {store}" in a.log(at)
        checks.all("store cut to nothing, the log whole", "starts with everything and names the file", problem or (None if said else a.log(at)[-500:]))
    in_use(checks, a)
    rollback(checks, a, os.path.join(directory, "older"))


def used(path):
    """The length of a preallocated file up to its last byte that is not zero."""
    return len(open(path, "rb").read().rstrip(b"\0"))


@contextlib.contextmanager
def swapped(path, other, away):
    """A copy of another directory in the place of one."""
    os.rename(path, away)
    shutil.copytree(other, path)
    os.chmod(path, 0o700)
    yield
    shutil.rmtree(path)
    os.rename(away, path)


def refused_at(checks, name, server, cause, step, look_after=None, code=1):
    return refused(checks, name, server.command, server.directory, code, cause, step, after=look_after)


def in_use(checks, a):
    """Two processes on one directory would destroy it."""
    with a:
        a.start()
        command = [a.command[0], "up", "--data-dir", a.data_dir, "--listen", "127.0.0.1:4399"]
        refused(checks, "data directory that a running member has", command, a.directory, 1, "in use by another process", NEXT)
        code, text = etcdctl(a, "get", "kept", "--print-value-only")
        checks.all(
            "data directory that a running member has", "the running member goes on", None if text.strip() == "newer-of-a" else f"{code}: {text}"
        )


def rollback(checks, a, older):
    """An old copy put back hides what was written since: an accident or an attack until somebody says it is neither."""
    shutil.copytree(a.data_dir, older)
    with a:
        a.start()
        for n in range(5):
            etcdctl(a, "put", "since", str(n))
    with swapped(a.data_dir, older, older + "-newer"):
        refused_at(checks, "older copy of the data directory put back", a, "(?i)older", r"--accept-rollback")
    checks.all("older copy of the data directory put back, put right", "starts again and has the value", keeps(a, "since", "4")())


def of_others(checks, binary, etcd, reference, directory):
    """Data of real etcd, and files that are nobody's business here."""
    theirs = Member(reference, os.path.join(directory, "real"))
    env = clean_environment(directory)
    subprocess.run([tool("etcdctl"), "--endpoints", theirs.endpoint, "put", "theirs", "untouched"], check=True, env=env, capture_output=True)
    theirs.process.send_signal(signal.SIGTERM)
    theirs.process.wait()
    before = digest(theirs.data_dir)

    def untouched(path, was):
        return unlike_before(was, path)

    refused(
        checks,
        "strongroom: data directory of real etcd",
        [binary, "up", "--data-dir", theirs.data_dir, "--listen", "127.0.0.1:4379"],
        directory,
        1,
        "holds data of etcd",
        NEXT,
        after=untouched(theirs.data_dir, before),
    )
    peer = "http://127.0.0.1:4380"
    flags = [
        "--name=one",
        "--listen-client-urls=http://127.0.0.1:4379",
        "--advertise-client-urls=http://127.0.0.1:4379",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=one={peer}",
    ]
    refused(
        checks,
        "etcd: data directory of real etcd",
        [etcd, *flags, f"--data-dir={theirs.data_dir}"],
        directory,
        1,
        "holds data of etcd",
        "hint",
        after=untouched(theirs.data_dir, before),
    )
    theirs.start()
    got = subprocess.run(
        [tool("etcdctl"), "--endpoints", theirs.endpoint, "get", "theirs", "--print-value-only"], env=env, capture_output=True, text=True
    ).stdout
    theirs.stop()
    checks.all(
        "data directory of real etcd",
        "real etcd starts on it afterwards and has its value",
        None if got.strip() == "untouched" else f"got {got!r}",
    )
    foreign = os.path.join(directory, "foreign")
    os.makedirs(foreign, mode=0o700)
    os.chmod(foreign, 0o700)
    with open(os.path.join(foreign, "holiday.jpg"), "w") as out:
        out.write("a picture")
    was = digest(foreign)
    refused(
        checks,
        "strongroom: directory with foreign files",
        [binary, "up", "--data-dir", foreign, "--listen", "127.0.0.1:4379"],
        directory,
        1,
        r"holiday\.jpg",
        NEXT,
        after=untouched(foreign, was),
    )
    refused(
        checks,
        "etcd: directory with foreign files",
        [etcd, *flags, f"--data-dir={foreign}"],
        directory,
        1,
        r"holiday\.jpg",
        "hint",
        after=untouched(foreign, was),
    )
    code, text, _ = run([binary, "put", "a", "b"], os.path.join(directory), within=10)
    checks.all(
        "strongroom: no member there",
        "the client command fails and names the cause and the next step",
        None if code not in (0, None) else f"exit code {code}",
        unlike(text, r"(?i)next: |hint"),
        fault(text),
    )


def another_name(checks, binary, reference, directory):
    """A member's data under another name and cluster token: etcd goes on with what the data says, and so must ours."""
    for what, program in (("real etcd", reference), ("ours", binary)):
        place = os.path.join(directory, what.replace(" ", "-"))
        server = Member(program, place, "--initial-cluster-token=first", client_port=4379, peer_port=4380)
        ask = [tool("etcdctl"), "--endpoints", server.endpoint]
        run([*ask, "put", "kept", "value"], place)
        identity = run([*ask, "endpoint", "status", "-w", "fields"], place)[1]
        server.stop()
        # Later flags win: the name and the cluster of the first start are overridden here.
        server.arguments += ["--name=two", "--initial-cluster=two=http://127.0.0.1:4380", "--initial-cluster-token=second"]
        server.start()
        value, now = run([*ask, "get", "kept", "--print-value-only"], place)[1], run([*ask, "endpoint", "status", "-w", "fields"], place)[1]
        said = open(server.log_path, errors="replace").read()
        server.stop()
        checks.all(
            f"data directory under another name and cluster token, {what}",
            "serves with the identity of the data, the value is there",
            None if value.strip() == "value" else f"got {value!r}",
            None if ids(identity) == ids(now) and ids(now) else f"{ids(identity)} became {ids(now)}",
            fault(said),
        )


def ids(status):
    """The cluster's and the member's id of a status."""
    return sorted(line for line in status.splitlines() if line.startswith(('"ClusterID"', '"MemberID"')))
