"""Time that goes by: members whose wall clock is set on, by libfaketime (Debian's faketime), while they run and between their lives.

What this is: a member's own leaves past half their life, while it runs and between its lives; a cold start long after all of them ended;
the warnings before the end of a certificate that somebody brought. The monotonic clock stays as it is: timers go on as they would.
"""

import glob
import os
import re
import ssl
import subprocess
import time

from brought import authority, der, leaf, shown
from checks import run, unlike
from issued import Cluster
from member import Member
from revoked import Hold
from traffic import Traffic, context

DAY = 86400
# What is due is looked for once a minute, by a timer that no faked clock moves.
TIMER_SECONDS = 60
CHANGE_SECONDS_MAX = 2
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: this process lives at another time than the member.
NO_CHECK_TIME = 0x200000


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


def lives(checks, binary, directory):
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


def timeless(ca, certificate, key):
    """A client that judges everything of a server's certificate but its time."""
    made = context(ca, certificate, key)
    made.verify_flags |= NO_CHECK_TIME
    return made


def running(checks, binary, directory):
    """A member that goes on: past half of its leaves' life it shows others, by its timer alone, and nobody notices."""
    file = os.path.join(directory, "shift")
    shift(file, 0)
    with Cluster(binary, directory, start=False) as cluster:
        cluster.env.update(faked(file))
        cluster.start()
        cluster.add_user("app")
        files = cluster.issue("app")
        held = Hold(cluster.client_port, files)
        traffic = Traffic(cluster.client_port, ("app", files[2], files[0], files[1]), tls=timeless)
        renews(checks, cluster, file, files, "past half of their life", 4, TIMER_SECONDS + CHANGE_SECONDS_MAX)
        # The first ones are over by then, those of the fourth day have passed their half; whatever changes the register has it looked at.
        renews(checks, cluster, file, files, "a day after the first ones ended, at a change of the register", 8, CHANGE_SECONDS_MAX, "pki", "token", "--name", "app")
        checks.all("renewals while it runs", "no request is lost, over connections of the first day and new ones", traffic.stop())
        ended = held.process.poll() is not None
        held.process.kill()
        checks.all("renewals while it runs", "a watch and keep-alives of the first day go on", held.process.communicate()[0] if ended else None)
        checks.all("renewals while it runs", "it is the same process", None if cluster.log().count("ready to serve client requests") == 1 else "it started anew")


def renews(checks, cluster, file, files, what, days, within, *command):
    """Sets the clock on and waits until the member shows another certificate than before; looks at its files and register."""
    pair, port = files[:2], cluster.client_port
    before, keys = shown(port, files[2], pair, timeless), [open(own(cluster, side, "key")).read() for side in ("server", "peer")]
    shift(file, days)
    began = time.monotonic()
    if command:
        cluster.does(*command, env=faked(file))
    while (now_shown := shown(port, files[2], pair, timeless)) == before and time.monotonic() - began < within:
        time.sleep(0.1)
    seconds = time.monotonic() - began
    now, problems = time.time() + days * DAY, []
    for side, key in zip(("server", "peer"), keys):
        end = end_of(own(cluster, side, "crt"))
        problems.append(None if now + 6 * DAY < end < now + 8 * DAY else f"the {side}'s ends {(end - now) / DAY:.1f} days on")
        problems.append(f"the {side}'s key is the old one" if open(own(cluster, side, "key")).read() == key else None)
    checks.all(what, f"another certificate is shown within {within} s", None if now_shown != before else "the same one", seconds=seconds)
    shows = der(own(cluster, "server", "crt"))
    checks.all(what, "the files of server and peer are new, of seven days, and what is shown", *problems, None if now_shown == shows else "another one than in the file")
    serial = run(["openssl", "x509", "-noout", "-serial", "-in", own(cluster, "server", "crt")], cluster.home)[1].strip().split("=")[1].lower()
    checks.all(what, "the register has it", unlike(cluster.does("pki", "list", env=faked(file)), serial.lstrip("0")))


def own(cluster, side, ending):
    return os.path.join(cluster.pki_dir, f"{side}.{ending}")


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
