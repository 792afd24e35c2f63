#!/usr/bin/env python3
"""choose.py: finds which of etcd's tests a single member has to pass, by running the real etcd.

    choose.py [--harness DIR] [--jobs N] [--suite common|e2e] [--run REGEX]

What this is: the origin of common.list, e2e.list and their *.excluded.tsv. It runs every test of class B (tests/common:
every class) with recording wrappers in place of etcd, etcdctl and curl: each writes down the moment and its arguments, then
becomes the real program. From that it knows, for every test and subtest, how many members ran, without reading etcd's
source. Rules, in this order:

  * not of class B (tests/e2e only): out, the class is the reason
  * the real etcd does not pass: out (a skip is not a pass)
  * no server was started: out (such a test says nothing about a server)
  * a cluster of more than one member, or one that a member joins or finds by discovery: out
  * tests/common: the file member: out, by the wording of what we promise

A test whose subtests differ is taken apart: the list then names the subtests that qualify. Slow (half an hour): run it when
the pinned etcd changes, not before each commit.
"""

import argparse
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import suite

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLASS_REASONS = {
    "N": "needs etcd's own log lines, metric names or Go traces",
    "F": "opens, corrupts or restores the files of an etcd data directory",
    "L": "needs the previous etcd release's binary",
    "G": "needs gofail compiled into the server",
    "P": "runs etcd's grpc-proxy or gateway",
    "C": "tests shell completion of etcdctl or etcdutl, no server",
    "T": "limits on wall time that the real etcd misses on a busy machine",
    "X": "skipped by its authors for every server",
}
COMMON_FILES_OUT = {"member_test.go": "member"}
WRAPPER = """#!/bin/bash
# Records when and how the real program was called, then becomes it.
printf -v call '\\t%.400q' @NAME@ "$@"
printf '%s%s\\n' "$EPOCHREALTIME" "$call" >> @RECORD@
exec @REAL@ "$@"
"""


def wrapper(path, name, real, record):
    """Writes an executable that records its call and becomes `real`."""
    with open(path, "w") as f:
        f.write(WRAPPER.replace("@NAME@", name).replace("@RECORD@", record).replace("@REAL@", real))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


def calls(record):
    """The recorded calls in order: (moment, program, arguments)."""
    if not os.path.exists(record):
        return []
    rows = []
    for line in open(record, errors="replace"):
        moment, program, *arguments = line.rstrip("\n").split("\t")
        rows.append((float(moment), program, [a.replace("\\", "") for a in arguments]))
    return sorted(rows)


def flag(arguments, name):
    """The value of --name=value or --name value."""
    for at, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            return argument.split("=", 1)[1]
        if argument == f"--{name}" and at + 1 < len(arguments):
            return arguments[at + 1]
    return None


def starts_server(arguments):
    return bool(arguments) and not {"--version", "--help", "-h", "help"} & set(arguments)


def facts(program_calls):
    """What a test needed, from the programs it called."""
    members, joined, starts = 0, False, 0
    for _, program, arguments in program_calls:
        if program == "etcd" and starts_server(arguments):
            starts += 1
            cluster = flag(arguments, "initial-cluster")
            members = max(members, len(cluster.split(",")) if cluster else 1)
            joined |= flag(arguments, "initial-cluster-state") == "existing"
            joined |= any(a.startswith("--discovery") for a in arguments)
    return {"starts": starts, "members": members, "joined": joined}


def observe(args, which, name, prefix):
    """Runs one test with recording programs in place. Returns its outcome and the facts for it and each subtest."""
    out = os.path.join(args.out, which)
    bin_dir = os.path.join(out, "bin", name)
    shutil.rmtree(bin_dir, ignore_errors=True)
    os.makedirs(os.path.join(bin_dir, "path"))
    record = os.path.join(bin_dir, "record")
    for program in ("etcd", "etcdctl", "etcdutl"):
        wrapper(os.path.join(bin_dir, program), program, os.path.join(args.harness, "ref-bin", program), record)
    wrapper(os.path.join(bin_dir, "path", "curl"), "curl", shutil.which("curl"), record)
    for attempt in range(args.retries + 1):
        if os.path.exists(record):
            os.remove(record)
        outcome = suite.run(args.harness, which, name, bin_dir, out, args.timeout, prefix,
                            path_first=os.path.join(bin_dir, "path"), environment={"E2E_TEST_MINIMAL": "true"})
        if not outcome.failed():
            break
    seen = calls(record)
    by_test = {name: facts(seen)}
    for test in outcome.verdicts:
        mine = [call for call in seen if (turn_at(outcome.turns, call[0]) + "/").startswith(test + "/")]
        by_test[test] = facts(seen if test == name else mine)
    print(f"{outcome.verdicts[name][0]:5} {which} {name} {outcome.seconds:.0f}s {by_test[name]}", flush=True)
    return name, {t: {"verdict": v, "seconds": s, **by_test[t]} for t, (v, s) in outcome.verdicts.items()}


def turn_at(turns, moment):
    """The test that had its turn at a moment ("" before the first); its line may reach us a little after its first call."""
    current = ""
    for began, name in turns:
        if began > moment + 0.05:
            break
        current = name
    return current


def refusal(seen):
    """Why a test with these facts is not for a single member, or None when it is."""
    if seen["verdict"] != "pass":
        return "skipped on the real etcd" if seen["verdict"] == "skip" else "does not pass on the real etcd either"
    if seen["starts"] == 0:
        return "starts no server"
    if seen["members"] > 1:
        return f"starts a cluster of {seen['members']} members"
    if seen["joined"]:
        return "a member joins, or finds its cluster by discovery"
    return None


def children(results, name):
    """The subtests right below a test. Names may contain slashes, so depth is not what tells."""
    below = sorted(t for t in results if t.startswith(name + "/"))
    return [t for t in below if not any(t.startswith(u + "/") for u in below)]


def pick(results, name, chosen, refused):
    """Takes a test whole when all of it qualifies; else goes down to its subtests."""
    why = refusal(results[name])
    below = children(results, name)
    if why is None or not below:
        (chosen.append(name) if why is None else refused.append((name, why)))
        return
    mine_chosen, mine_refused = [], []
    for child in below:
        pick(results, child, mine_chosen, mine_refused)
    if not mine_chosen:
        refused.append((name, why))
        return
    chosen += mine_chosen
    refused += mine_refused


def main():
    target = os.environ.get("TARGET", os.path.join(ROOT, "target"))
    p = argparse.ArgumentParser()
    p.add_argument("--harness", default=os.path.join(target, "etcd-harness"))
    p.add_argument("--out", default=os.path.join(target, "etcd-choose"))
    p.add_argument("--suite", choices=("common", "e2e"))
    p.add_argument("--run", default=".")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--timeout", type=int, default=300)
    p.add_argument("--retries", type=int, default=2)
    p.add_argument("--reuse", action="store_true", help="decide again from the last run's facts, run nothing")
    args = p.parse_args()
    args.harness, args.out = os.path.abspath(args.harness), os.path.abspath(args.out)
    prefix = suite.namespaces()
    if not prefix:
        sys.exit("choose.py: needs its own network namespace (root, or user namespaces allowed)")
    classes = [line.rstrip("\n").split("\t") for line in open(os.path.join(HERE, "classes.tsv"))]
    for which in [args.suite] if args.suite else ["common", "e2e"]:
        mine = [(name, kind, file) for s, name, kind, file in classes if s == which]
        wanted = [name for name, kind, file in mine if re.search(args.run, name) and (
            kind == "B" if which == "e2e" else kind != "X" and file not in COMMON_FILES_OUT)]
        kept = os.path.join(args.out, which + ".facts.json")
        os.makedirs(args.out, exist_ok=True)
        found = json.load(open(kept)) if os.path.exists(kept) else {}
        if not args.reuse:
            with ThreadPoolExecutor(args.jobs) as pool:
                for name, results in pool.map(lambda n: observe(args, which, n, prefix), wanted):
                    found[name] = results
            json.dump(found, open(kept, "w"), indent=1, sort_keys=True)
        chosen, refused = [], []
        for name, kind, file in mine:
            if which == "common" and file in COMMON_FILES_OUT:
                refused.append((name, f"part of tests/common's {COMMON_FILES_OUT[file]} tests"))
            elif which == "e2e" and kind != "B" or kind == "X":
                refused.append((name, f"class {kind}: {CLASS_REASONS[kind]}"))
            elif name in found:
                pick(found[name], name, chosen, refused)
            else:
                refused.append((name, "not run by choose.py"))
        write(which, chosen, refused)
        print(f"{which}: {len(chosen)} selected, {len(refused)} excluded")


def write(which, chosen, refused):
    with open(os.path.join(HERE, which + ".list"), "w") as f:
        f.write(f"# tests/{which}: what a single member has to pass. Found by choose.py on the real etcd.\n")
        f.write("# One line is one process: a test, or a subtest of one whose other subtests need a cluster.\n")
        f.writelines(name + "\n" for name in chosen)
    with open(os.path.join(HERE, which + ".excluded.tsv"), "w") as f:
        f.write(f"# tests/{which}: what is not asked of a single member, and why. Found by choose.py.\n")
        f.writelines(f"{name}\t{why}\n" for name, why in refused)


if __name__ == "__main__":
    main()
