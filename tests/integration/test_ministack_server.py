"""What this project makes cheaper in ministack gives what ministack itself gives."""

import json
import subprocess
from pathlib import Path

from iot_stream.paths import MINISTACK_PYTHON, PROJECT

SERVER = PROJECT / "iot_stream" / "local" / "ministack_server" / "__main__.py"
# Runs in ministack's own interpreter: what it prints is JSON.
PROGRAM = """
import json, random, runpy, sys, yaml
server = runpy.run_path(sys.argv[1])
read, write = server["read_json"], server["write_json"]
numbers = random.Random(7)
texts = [line.rstrip("\\n") for line in open(sys.argv[2], encoding="utf-8")]
texts += [repr(numbers.uniform(-1, 1) * 10 ** numbers.randint(-320, 308)) for _ in range(2000)]
texts += [str(numbers.randint(-(10 ** 40), 10 ** 40)) for _ in range(200)]

def outcome(parse, text):
    try:
        return repr(parse(text))
    except Exception as error:
        return type(error).__name__

differs = [text for text in texts for form in (text, text.encode()) if outcome(read, form) != outcome(json.loads, form)]
for text in texts:
    if not outcome(json.loads, text).endswith("Error"):
        value = json.loads(text)
        for written in (write(value), write(value, ensure_ascii=False), write(value, indent=1)):
            if repr(json.loads(written)) != repr(value):
                differs.append(written)
        if not write(value).isascii():
            differs.append(write(value))
engine = server["engine"]
templates = [open(sys.argv[3], encoding="utf-8").read()]
for tag in [*engine._SIMPLE_TAGS, "!GetAtt", "!Unknown"]:
    templates += [f"A: {tag} {value}" for value in ("a.b.c", "[a, !Ref b]", "{a: !Ref b, c: 1}")]
loaders = engine.CfnLoader, server["PythonTemplateLoader"]
for template in templates:
    one, other = (outcome(lambda text: yaml.load(text, loader), template) for loader in loaders)
    if loaders[0] is loaders[1] or one != other:
        differs.append([template, one, other])
kinesis = server["kinesis"]
now = server["time"].time()
for token, age in ("old", 301), ("older than it looks", 1000), ("new", 10), ("behind a new one", 400):
    kinesis._shard_iterators[token] = {"created_at": now - age}
kinesis._expire_iterators()
if list(kinesis._shard_iterators) != ["new", "behind a new one"]:
    differs.append("iterators")
print(json.dumps(differs))
"""
# An event of a function may hold any JSON; and what is none has to be refused with the same exception.
TEXTS = r"""
{"a":1,"a":2}
{"b": {"c": [1, 2.50, true, null, "\u00e9 \ud83d\ude00 é"]}}
"\ud800"
1e400
-0
-0.0
NaN
[Infinity, -Infinity]
9007199254740993
"\u0000"
01
[1,]
{"a"

 7
"""
TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Day: 2026-11-28T01:02:03Z
Text: &text |
  of two
  lines, é
Numbers: [0o17, 017, 1_000, 1e3, .inf, 0x1F, "5", yes, null, ~, 12:30:45]
Merged: { <<: { a: 1 }, b: *text }
"""


def test_what_is_faster_means_the_same(tmp_path: Path) -> None:
    """JSON is that of the standard library, a template what ministack reads, and iterators expire as it says."""
    texts = tmp_path / "texts"
    texts.write_text(TEXTS, encoding="utf-8")
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE, encoding="utf-8")
    done = subprocess.run(
        [str(MINISTACK_PYTHON), "-P", "-c", PROGRAM, str(SERVER), str(texts), str(template)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
