"""Commands where no member runs: what to do next is said at once, by each of them.

What this is: every command that talks to a member, with nothing listening and no profile.
"""

from checks import fault, run, unlike

SECONDS_MAX = 1.0
COMMANDS = (
    "get a", "put a b", "del a", "watch a", "txn", "lease grant 60", "lease list", "lease revoke 7", "lease timetolive 7", "lease keep-alive 7",
    "compaction 3", "endpoint health", "endpoint status", "endpoint hashkv", "endpoint health --cluster", "alarm list", "alarm disarm",
    "member list", "member add x --peer-urls=http://127.0.0.1:1", "member remove 7", "defrag", "lock l true", "elect e p", "elect -l e",
    "move-leader 7", "downgrade cancel",
)


def listens(checks, binary, directory):
    for command in COMMANDS:
        code, text, seconds = run([binary, *command.split()], directory, stdin=b"\n\n\n")
        checks.all(
            f"no member: {command}",
            "fails in under a second, and says how to start one or name its address",
            None if code in (1, 2) else f"exit code {code}",
            None if seconds < SECONDS_MAX else f"took {seconds:.1f} s",
            unlike(text, "nothing listens at 127.0.0.1:2379", "next: .*strongroom up.*--endpoints"),
            fault(text),
            seconds=seconds,
        )
    code, text, _ = run([binary, "env"], directory)
    checks.all("no member: env", "fails and says what writes the profile", None if code == 1 else f"exit code {code}", unlike(text, "next: .*strongroom up"))
    code, text, _ = run([binary, "u"], directory, env={"STRONGROOM_DATA_DIR": f"{directory}/data"})
    checks.all(
        "one letter for up", "starts nothing", None if code == 128 else f"exit code {code}: {text[-500:]}", unlike(text, "'up'"), fault(text)
    )
