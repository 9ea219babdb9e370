"""The table: what became of each case."""

from .cases import CASES, GATE

HEAD = """
| case | rank | attack | outcome | reasons | memory | processor | bystander p99 | time |
|---:|---|---|---|---|---:|---:|---:|---:|
"""


def matches(nodeid, test):
    """Whether a test is that of a case: `file::name`, with its parameters if they matter, or all of a file."""
    file, _, name = test.partition("::")
    asked, _, is_called = nodeid.partition("::")
    if asked.rsplit("/", 1)[-1] != f"{file}.py":
        return False
    is_called = is_called.split("@")[0].removeprefix("test_")
    return name == "*" or is_called == name or is_called.split("[")[0] == name


def write(results):
    """The table in Markdown, by number, and what is not in it."""
    text = HEAD
    missing = []
    for number, case in CASES.items():
        result = results.get(number)
        if not result or not result.outcomes:
            missing.append(f"* {number} ({case.rank}), {case.what}: {case.why_not or 'was not run'}\n")
            continue
        rank = f"**{case.rank}**" if number in GATE else case.rank
        reasons = ", ".join(f"`{it}`" if ":" not in it else it for it in sorted(result.reasons)) or "–"
        bystander = f"{result.bystander * 1e3:.0f} ms" if result.bystander else "–"
        text += (f"| {number} | {rank} | {case.what} | {outcome(result.outcomes)} | {reasons} "
                 f"| {result.memory / (1 << 20):.1f} MiB | {result.processor:.1f} s | {bystander} | {result.seconds:.1f} s |\n")
    return text + ("\nWithout a row:\n\n" + "".join(missing) if missing else "")


def outcome(outcomes):
    """In a word, with numbers where there are several."""
    counts = {kind: outcomes.count(kind) for kind in ("failed", "passed", "skipped")}
    if counts["failed"]:
        return f"**FAILED** {counts['failed']} of {len(outcomes)}"
    if not counts["passed"]:
        return "skipped"
    return f"held ({counts['passed']})" + (f", {counts['skipped']} skipped" if counts["skipped"] else "")
