#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every system header that the program is built from must come with a package that is asked for.

usage: packages.py BUILD_DIR PACKAGE...
A package that only happens to be installed here would be missing on a fresh machine. Prints what is not covered.
"""
import re
import subprocess
import sys


def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def closure(asked):
    """The packages that installing these brings, of those installed here: Depends and Pre-Depends, any alternative."""
    needs, provided = {}, {}
    for line in run("dpkg-query", "-Wf", "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\n").splitlines():
        name, provides, depends = line.split("\t")
        names = re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", depends)
        needs.setdefault(name, set()).update(names)
        for p in re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9+.-]+)", provides):
            provided.setdefault(p, set()).add(name)
    seen, todo = set(), list(asked)
    while todo:
        p = todo.pop()
        if p not in seen:
            seen.add(p)
            todo += list(needs.get(p, ())) + list(provided.get(p, ()))
    return seen


def main():
    build, asked = sys.argv[1], sys.argv[2:]
    headers = set()
    flags = ["-D_GNU_SOURCE", "-DWEIR_VERSION=\"\"", "-Ibpf", f"-I{build}"]
    flags += [f"-I{d}" for d in run("git", "ls-files", "-z", "user").split("\0") for d in [d.rpartition("/")[0]] if d]
    for cc, sources in (("gcc", "user/*.c"), ("clang", "bpf/*.bpf.c")):
        extra = ["-target", "bpf", "-I/usr/include/" + run("gcc", "-print-multiarch").strip()] if cc == "clang" else []
        files = run("git", "ls-files", sources).split()
        out = run(cc, *dict.fromkeys(flags), *extra, "-M", *files)
        headers |= set(re.findall(r"(/usr/include/\S+)", out))
    have = closure(asked)
    owners = {}
    for line in run("dpkg", "-S", *headers).splitlines():
        packages, _, path = line.rpartition(": ")
        owners.setdefault(path, set()).update(p.strip().partition(":")[0] for p in packages.split(","))
    for h in sorted(headers):
        if not owners.get(h, set()) & have:
            print(f"{h} of {', '.join(sorted(owners.get(h, {'no package'})))} is not asked for")


main()
