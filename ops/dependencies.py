#!/usr/bin/env python3
"""What each direct dependency brings along, and what would go with it: the figures of docs/dependencies.md.

    ops/dependencies.py
"""

import re
import subprocess


def tree(edges):
    """Who needs whom, as Cargo resolves it on this machine, and the crate it begins with."""
    command = ["cargo", "tree", "--locked", "--edges", edges, "--prefix", "depth"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    needs, path = {}, []
    for line in lines:
        depth, name = re.match(r"(\d+)(\S+ v\S+)", line).groups()
        path[int(depth):] = [name]
        needs.setdefault(name, set())
        if path[1:]:
            needs[path[-2]].add(name)
    return path[0], needs


def all_of(needs, names):
    found, left = set(), list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left.extend(needs[name])
    return found


def show(title, needs, direct, among):
    print(f"\n{title:24} brings  alone")
    for name in sorted(direct):
        own = all_of(needs, [name]) - {name}
        alone = own - all_of(needs, among - {name})
        print(f"{name:24} {len(own):6} {len(alone):6}  {' '.join(sorted(it.split()[0] for it in alone))}")


root, linked = tree("normal")
_, built = tree("no-dev")
_, tested = tree("normal,build,dev")
for what, needs in (("linked", linked), ("built", built), ("built for tests", tested)):
    print(f"{len(all_of(needs, needs[root])):4} crates {what}")
show("in the binary", built, linked[root], built[root])
show("for the build script", built, built[root] - linked[root], built[root])
show("for tests", tested, tested[root] - built[root], tested[root])
