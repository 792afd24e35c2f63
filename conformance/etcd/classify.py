#!/usr/bin/env python3
"""classify.py HARNESS/src: prints suite, test, class and file of every test in etcd's tests/common and tests/e2e.

What this is: the reading of etcd's test sources, written down as rules by file and by name, that says what a test needs
besides a server. `classes.tsv` is its output for the pinned version. Classes:

  B  black-box behaviour of the API, the CLI, HTTP or TLS: any server has to pass
  N  etcd's own log lines, metric names or Go's traces
  F  touches the files of a data directory (bbolt opened or corrupted by the test, etcdutl on a server's files)
  L  needs the previous release's binary (mixed versions, upgrade, downgrade, migration)
  G  needs gofail compiled into the server
  P  `etcd grpc-proxy` or `etcd gateway`
  C  shell completion of etcdctl or etcdutl: no server
  T  limits on wall time that the real etcd misses on a busy machine
  X  skipped by its authors for every server
"""

import glob
import os
import re
import sys

BY_FILE = {
    "cluster_downgrade_test.go": "L", "etcd_release_upgrade_test.go": "L", "etcd_mix_versions_test.go": "L",
    "utl_migrate_test.go": "L", "v2store_deprecation_test.go": "L",
    "failover_test.go": "G", "leader_snapshot_no_proxy_test.go": "G", "reproduce_17780_test.go": "G",
    "reproduce_19406_test.go": "G", "reproduce_20271_test.go": "G", "snap_db_dirsync_test.go": "G",
    "defrag_no_space_test.go": "G", "v3_lease_no_proxy_test.go": "G",
    "etcd_grpcproxy_test.go": "P", "gateway_test.go": "P",
    "zap_logging_test.go": "N", "logging_test.go": "N", "promote_experimental_flag_test.go": "N",
    "ctl_v3_completion_test.go": "C", "ctl_v3_defrag_test.go": "F",
}
BY_NAME = {
    "G": ["TestResumeCompactionOnTombstone"],
    "P": ["TestGrpcproxyAndCommonName", "TestGrpcproxyAndListenCipherSuite"],
    "N": [
        "TestBootstrapDefragFlag", "TestSnapshotCatchupEntriesFlag", "TestEtcdDeprecatedFlags",
        "TestV2DeprecationEnforceDefaultValue", "TestV2DeprecationNotYet", "TestAuthority", "TestConnectionRejectMessage",
        "TestNoMetricsMissing", "TestCompactHashCheckDetectCorruptionInterrupt",
        "TestCompactHashCheckDetectCorruptionInterruptWithFeatureGate",
    ],
    "F": [
        "TestBreakConsistentIndexNewerThanSnapshot", "TestEtcdCorruptHash", "TestPeriodicCheckDetectsCorruption",
        "TestCompactHashCheckDetectCorruption", "TestCompactHashCheckDetectCorruptionWithFeatureGate", "TestIssue6361",
        "TestRestoreCompactionRevBump", "TestCtlV3SnapshotCorrupt", "TestCtlV3SnapshotStatusBeforeRestore",
        "TestForceNewCluster_MemberCount", "TestCtlV3Snapshot", "TestCtlV3SnapshotVersion",
    ],
    "T": ["TestWatchDelayForPeriodicProgressNotification", "TestWatchDelayForManualProgressNotification", "TestWatchDelayForEvent"],
    "X": [f"Test{what}With{who}Auth" for what in ("Downgrade", "MoveLeader", "Snapshot") for who in ("No", "Invalid", "Root", "User")],
}
BY_NAME = {name: kind for kind, names in BY_NAME.items() for name in names}


def main():
    source = sys.argv[1]
    for suite in ("common", "e2e"):
        for path in sorted(glob.glob(os.path.join(source, suite, "*_test.go"))):
            for found in re.finditer(r"^func (Test\w+)\(\w+ \*testing\.T\)", open(path).read(), re.M):
                name, file = found.group(1), os.path.basename(path)
                print(suite, name, BY_NAME.get(name) or BY_FILE.get(file) or "B", file, sep="\t")


main()
