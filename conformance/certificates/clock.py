"""Time that goes by: members whose wall clock is set on, by libfaketime (Debian's faketime), while they run and between their lives.

What this is: a member's own leaves past half their life, a cold start long after all of them ended, and the warnings before the end
of a certificate that somebody brought. The monotonic clock stays as it is: timers go on as they would.
"""

import glob
import os
import re
import ssl
import subprocess
import time

from brought import authority, leaf
from checks import run, unlike
from issued import Cluster
from member import Member

DAY = 86400


def faked(shift_file):
    """The variables under which a program sees the time that the file says."""
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        raise AssertionError("libfaketime is not installed\n  next: tools/packages faketime")
    return {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": shift_file, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}


def shift(path, days):
    with open(path + ".new", "w") as out:
        out.write(f"+{int(days * DAY)}\n")
    os.rename(path + ".new", path)


def end_of(path):
    """When the first certificate of a file ends, in seconds since 1970."""
    said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], capture_output=True, text=True, check=True).stdout
    return ssl.cert_time_to_seconds(said.strip().split("=")[1])


def own(checks, binary, directory):
    """Leaves of seven days: renewed by half of it while the member runs, and by a start after a week or two months off."""
    file = os.path.join(directory, "shift")
    shift(file, 0)
    with Cluster(binary, directory, start=False) as cluster:
        cluster.env.update(faked(file))
        cluster.start()
        served = os.path.join(cluster.pki_dir, "server.crt")
        first = end_of(served)
        cluster.stop()
        for what, days in (("past half of their life", 4), ("a week off", 12), ("two months after all had ended", 80), ("a year off", 450)):
            shift(file, days)
            cluster.start()
            end = end_of(served)
            now = time.time() + days * DAY
            code, text, _ = cluster.try_command("put", "app/x", what, env=faked(file))
            checks.all(f"a start {what}", "new leaves of seven days, and the administrator puts", None if end > first else "the same leaf",
                       None if now + 6 * DAY < end < now + 8 * DAY else f"it ends {(end - now) / DAY:.1f} days on", None if code == 0 else text[-400:])
            first = end
            cluster.stop()


def warnings(checks, binary, directory):
    """A brought certificate of 365 days: the log warns thirty, seven and one day before the end and at it, each once."""
    pki, file = os.path.join(directory, "pki"), os.path.join(directory, "shift")
    authority(pki)
    certificate, key = leaf(pki, "server")
    url = "https://127.0.0.1:4443"
    flags = [f"--listen-client-urls=http://127.0.0.1:2379,{url}", f"--cert-file={certificate}", f"--key-file={key}", "--client-cert-auth",
             f"--trusted-ca-file={pki}/ca.crt"]
    shift(file, 0)
    server = Member(binary, os.path.join(directory, "member"), *flags, start=False)
    kept = dict(os.environ)
    os.environ.update(faked(file))
    try:
        server.start()
    finally:
        os.environ.clear()
        os.environ.update(kept)
    with server:
        for days, wanted in ((200, 0), (340, 1), (360, 2), (364.5, 3), (366, 4)):
            shift(file, days)
            lines, until = [], time.monotonic() + 10
            while time.monotonic() < until and (len(lines) < wanted or time.monotonic() < until - 6):
                time.sleep(0.2)
                lines = [l for l in open(server.log_path, errors="replace") if re.search('"kind":"serving"', l)]
            checks.all(f"{365 - days:g} days before the end", f"{wanted} warnings in the log so far, with what to do",
                       None if len(lines) == wanted else f"{len(lines)}: {''.join(lines)[-900:]}", *[unlike(l, '"hint":"') for l in lines])
        pair = leaf(pki, "apiserver-etcd-client")
        checks.all("a brought certificate that has ended", "is shown on: there is no other", None if run(["openssl", "s_client", "-connect", "127.0.0.1:4443", "-cert", pair[0], "-key", pair[1], "-brief"], directory)[0] == 0 else "no handshake")
