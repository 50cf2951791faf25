"""Evaluates a model folder twice, by extracot itself and through a server of transformers, and compares.

    python eval_server.py EXTRACOT MODEL PROBLEMS OUT [LIMIT] [MAX_NEW_TOKENS]

EXTRACOT is the program, MODEL a folder with a chat template, PROBLEMS a file of JSON lines, OUT a folder
that is not there yet. The server is `transformers serve` (pip install "transformers[serving]"); any other
OpenAI-compatible one can be used by setting SERVER_URL to its /v1 address and SERVER_MODEL to its name of
the model. Both sides decode greedily, so that the texts are the same where the numbers do not tie.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PORT = 18766
WAIT_S = 180
# Greedy decoding on two implementations parts where two tokens are nearly as likely.
LEAST_EQUAL = 0.8


def wait_for(url):
    for _ in range(WAIT_S):
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(1)
    sys.exit(f"no answer from {url} in {WAIT_S} s")


def evaluate(extracot, model, problems, out, limit, max_new_tokens, further):
    command = [extracot, "eval", "--model", model, "--problems", problems, "--out", str(out)]
    command += ["--limit", limit, "--max-new-tokens", max_new_tokens, *further]
    subprocess.run(command, check=True)
    with open(out / "none" / "prediction.json") as lines:
        return [json.loads(line) for line in lines]


def main():
    extracot, model, problems, out = sys.argv[1:5]
    limit = sys.argv[5] if len(sys.argv) > 5 else "20"
    max_new_tokens = sys.argv[6] if len(sys.argv) > 6 else "128"
    out = Path(out)
    local = evaluate(extracot, model, problems, out / "local", limit, max_new_tokens, [])
    url, name, server = os.environ.get("SERVER_URL"), os.environ.get("SERVER_MODEL", model), None
    if url is None:
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
        command += ["--host", "127.0.0.1", "--port", str(PORT), "--device", "cpu"]
        server = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        url = f"http://127.0.0.1:{PORT}/v1"
    try:
        if server is not None:
            wait_for(f"http://127.0.0.1:{PORT}/health")
        further = ["--tokenizer", model, "--concurrency", "1", "--timeout", "600", "--latency", "2"]
        remote = evaluate(
            extracot, f"openai:{name}@{url}", problems, out / "server", limit, max_new_tokens, further
        )
    finally:
        if server is not None:
            server.terminate()
    pairs = list(zip(local, remote, strict=True))
    texts = sum(a["text"].strip() == b["text"].strip() for a, b in pairs)
    verdicts = sum(a["verdict"] == b["verdict"] for a, b in pairs)
    tokens = sum(abs(a["total_tokens"] - b["total_tokens"]) <= 1 for a, b in pairs)
    print(f"{len(pairs)} problems: {texts} texts, {verdicts} verdicts, {tokens} token counts agree")
    subprocess.run([extracot, "compare", str(out / "local"), str(out / "server")], check=True)
    assert texts >= LEAST_EQUAL * len(pairs), "the texts differ more than ties explain"


if __name__ == "__main__":
    main()
