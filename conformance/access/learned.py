"""`access learn`: a program that may do everything gets the role it needs, and works with that one alone.

What this is: a program, played by the real etcdctl with a certificate of `pki issue`, is watched while it works with a wide role; then
the role that was learned is all it has. It has to be able to do again what it did, and nothing beside it.
"""

# What the program does, and what it must not be able to do afterwards.
WORK = (("put", "app/cfg/1", "v"), ("put", "app/cfg/2", "v"), ("put", "app/cfg/3", "v"), ("put", "app/cfg/4", "v"), ("get", "app/cfg/4"),
        ("get", "jobs/", "--prefix"), ("put", "leader", "me"), ("compaction", "2"))
REST = (("put", "app/other", "v"), ("get", "app/cfg/", "--prefix"), ("put", "jobs/1", "v"), ("get", "leader"), ("put", "leader2", "v"), ("user", "list"),
        ("snapshot", "save", "nothing"))
# What lies in the widened range was not used, and comes with it.
WIDENED = (("put", "app/cfg/5", "v"), ("get", "jobs/9"))
LINES = ("used      read           app/cfg/4", "used      write          app/cfg/ --prefix  4 times", "refused   the role root", "proposed  write          app/cfg/ --prefix",
         "proposed  read           jobs/ --prefix", "proposed  write          leader", "proposed  right compact")


def part(checks, house):
    house.add_role("wide", "readwrite / --from-key")
    house.does("role", "grant-permission", "wide", "readwrite", "", "--prefix")
    house.does("access", "grant-right", "wide", "compact")
    house.add_user("program", "wide")
    house.issue("program", "program")
    for at in range(3):
        house.does("put", f"filler{at}", "v")
    early = house.etcdctl("put", "before", "v", who="program")
    began = house.ours("access", "learn", "start", "--for", "10m")
    checks.all("learn start", "says until when", began.code and str(began), "is noted until 2" not in began.out and began.out)
    works = [house.etcdctl(*words, who="program") for words in WORK]
    refused = house.etcdctl("user", "list", who="program")
    checks.all("the program", "does its work with the wide role", *(str(said) for said in (early, *works) if said.code), refused.code == 0 and str(refused))
    shown = house.ours("access", "learn", "show", "program")
    missing = [line for line in LINES if line not in " ".join(shown.out.split("\n"))]
    checks.all("learn show", "what was used, refused and is proposed", missing and f"{missing} of\n{shown}", "before" in shown.out and f"noted too early: {shown}")
    table = house.ours("access", "learn", "show", "program", "-w", "table")
    checks.all("learn show -w table", "the same in rows", table.code and str(table), table.out.count("proposed") != 5 and table.out)
    told = house.ours("access", "learn", "show", "-w", "json").json()
    of_program = next((user for user in told["users"] if user["user"] == "program"), {})
    checks.all("learn show -w json", "the same for programs", of_program.get("proposed", {}).get("rights") != ["compact"] and str(told),
               told["learning"] is not True and str(told))
    nobody = house.etcdctl("get", "x", who="program")
    own = house.ours("access", "learn", "show", who="program")
    checks.all("learn show by the program", "refused", nobody.code and str(nobody), not own.is_denied and str(own))
    # What it has just read is part of it as well.
    tried = house.ours("access", "learn", "apply", "program", "--dry-run")
    checks.all("learn apply --dry-run", "changes nothing", tried.code and str(tried), "would change: role learned-program is made" not in tried.out and tried.out,
               "learned-program" in str(house.policy()) and "the role is there")
    applied = house.ours("access", "learn", "apply", "program")
    checks.all("learn apply", "makes the role, and names the wide one", applied.code and str(applied), "user revoke-role program wide" not in applied.err and str(applied))
    house.does("user", "revoke-role", "program", "wide")
    house.does("put", "again", "v")
    again = [house.etcdctl(*words, who="program") for words in (*WORK[:-1], ("compaction", "4"), *WIDENED)]
    checks.all("with the learned role alone", "all that it did works", *(str(said) for said in again if said.code))
    walled = [house.etcdctl(*words, who="program") for words in REST]
    checks.all("with the learned role alone", "nothing else does", *(str(said) for said in walled if not said.is_denied))
    again = house.ours("access", "learn", "apply", "program")
    checks.all("learn apply again", "changes nothing of the role", again.code and str(again), "is made" in again.out and again.out)
    for words, code, hint in ((("apply", "root"), 128, "--for"), (("apply", "nobody"), 1, "learn show"), (("start", "--for", "5"), 128, "30d"),
                              (("start", "--for", "91d"), 1, "90 days"), (("apply",), 128, "USER")):
        said = house.ours("access", "learn", *words)
        checks.all("learn " + " ".join(words), "refused, with what to do", said.code != code and str(said), hint not in said.err and str(said))
    stopped = house.ours("access", "learn", "stop", "--forget")
    after = house.ours("access", "learn", "show")
    checks.all("learn stop --forget", "nothing is left", stopped.code and str(stopped), "Nothing is noted" not in after.out and str(after))
