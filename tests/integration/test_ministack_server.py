"""What this project makes cheaper in ministack gives what ministack itself gives."""

import json
import subprocess
from pathlib import Path

from iot_stream.paths import MINISTACK_PYTHON, PROJECT

SERVER = PROJECT / "iot_stream" / "local" / "ministack_server" / "__main__.py"
# Runs in ministack's own interpreter: what it prints is JSON.
PROGRAM = """
import json, random, runpy, sys
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


def test_the_json_is_that_of_the_standard_library(tmp_path: Path) -> None:
    """The faster parser and writer take, refuse and mean the same."""
    texts = tmp_path / "texts"
    texts.write_text(TEXTS, encoding="utf-8")
    done = subprocess.run(
        [str(MINISTACK_PYTHON), "-P", "-c", PROGRAM, str(SERVER), str(texts)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
