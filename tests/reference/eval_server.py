"""Evaluates a model folder by extracot itself and through a server of transformers, and compares.

    python eval_server.py EXTRACOT MODEL PROBLEMS OUT [LIMIT] [MAX_NEW_TOKENS]

EXTRACOT is the program, MODEL a folder with a chat template, PROBLEMS a file of JSON lines, OUT a folder
that is not there yet. The server is `transformers serve` (pip install "transformers[serving]"); any other
OpenAI-compatible one can be used by setting SERVER_URL to its /v1 address and SERVER_MODEL to its name of
the model. All sides decode greedily, so that the texts are the same where the numbers do not tie.

Compared are
1. the prompts: what the requests hold, rendered by transformers, has the hash that extracot gives its own
   prompts, and as many tokens as the server says that it read;
2. texts, verdicts and token counts of the model folder and of the server;
3. a run against the server that is killed with signal 9 and resumed with one that is not: the same samples
   and metrics.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 18766
PROXY_PORT = 18767
WAIT_S = 180
# Greedy decoding on two implementations parts where two tokens are nearly as likely.
LEAST_EQUAL = 0.8


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on to the server, and keeps what was asked and what the server counted."""

    upstream = ""
    seen = []
    lock = threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.upstream + self.path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=600) as reply:
                status, answer = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        if status == 200:
            usage = json.loads(answer).get("usage") or {}
            with self.lock:
                self.seen.append((json.loads(body), usage.get("prompt_tokens")))
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # The one that asked was killed.

    def log_message(self, *_):
        pass


def wait_for(url):
    for _ in range(WAIT_S):
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(1)
    sys.exit(f"no answer from {url} in {WAIT_S} s")


class Evaluation:
    def __init__(self, extracot, problems, limit, max_new_tokens):
        self.start = [extracot, "eval", "--problems", problems, "--limit", limit]
        self.start += ["--max-new-tokens", max_new_tokens]

    def command(self, model, out, further):
        return [*self.start, "--model", model, "--out", str(out), *further]

    def run(self, model, out, further):
        subprocess.run(self.command(model, out, further), check=True)
        return samples(out)

    def killed(self, model, out, further, n_kept):
        """Kills the run once it has kept so many samples, and goes on with it."""
        process = subprocess.Popen(self.command(model, out, further))
        unfinished = out / "none" / "prediction.json.unfinished"
        while not unfinished.exists() or len(unfinished.read_bytes().splitlines()) <= n_kept:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return self.run(model, out, [*further, "--resume"])


def samples(out):
    with open(out / "none" / "prediction.json") as lines:
        return [json.loads(line) for line in lines]


def metrics(out):
    return json.loads((out / "none" / "metrics.json").read_text())


def without_latency(rows):
    return [{key: value for key, value in row.items() if key != "latency_s"} for row in rows]


def check_prompts(model, local_hash, rows, seen):
    """The requests, in the order of the problems, rendered as the server does it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    by_user = {body["messages"][-1]["content"]: (body, n) for body, n in seen}
    texts, counts = [], 0
    for row in rows:
        [user] = [user for user in by_user if user.endswith("\n" + row["question"])]
        body, n_prompt = by_user[user]
        text = tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        texts.append(text)
        n_tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        counts += n_tokens == n_prompt
    packed = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(packed).hexdigest()[: len(local_hash)]
    print(f"prompts: hash {digest} of the server's, {local_hash} of the model folder's; "
          f"{counts} of {len(texts)} as long as the server says")
    assert digest == local_hash, "the prompts differ"
    assert counts == len(texts), "the server read other prompts"


def main():
    extracot, model, problems, out = sys.argv[1:5]
    limit = sys.argv[5] if len(sys.argv) > 5 else "20"
    max_new_tokens = sys.argv[6] if len(sys.argv) > 6 else "128"
    out = Path(out)
    evaluation = Evaluation(extracot, problems, limit, max_new_tokens)
    local = evaluation.run(model, out / "local", ["--latency", "0"])
    url, name, server = os.environ.get("SERVER_URL"), os.environ.get("SERVER_MODEL", model), None
    if url is None:
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
        command += ["--host", "127.0.0.1", "--port", str(PORT), "--device", "cpu"]
        server = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        url = f"http://127.0.0.1:{PORT}/v1"
    Proxy.upstream = url.removesuffix("/v1")
    proxy = ThreadingHTTPServer(("127.0.0.1", PROXY_PORT), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    served = f"openai:{name}@http://127.0.0.1:{PROXY_PORT}/v1"
    try:
        if server is not None:
            wait_for(f"http://127.0.0.1:{PORT}/health")
        further = ["--tokenizer", model, "--concurrency", "1", "--timeout", "600"]
        remote = evaluation.run(served, out / "server", [*further, "--latency", "2"])
        seen = list(Proxy.seen)
        further += ["--latency", "0"]
        resumed = evaluation.killed(served, out / "killed", further, len(remote) // 2)
    finally:
        if server is not None:
            server.terminate()
        proxy.shutdown()

    check_prompts(model, metrics(out / "local")["prompts_hash"], local, seen)
    pairs = list(zip(local, remote, strict=True))
    texts = sum(a["text"].strip() == b["text"].strip() for a, b in pairs)
    verdicts = sum(a["verdict"] == b["verdict"] for a, b in pairs)
    tokens = sum(abs(a["total_tokens"] - b["total_tokens"]) <= 1 for a, b in pairs)
    print(f"{len(pairs)} problems: {texts} texts, {verdicts} verdicts, {tokens} token counts agree")
    assert without_latency(resumed) == without_latency(remote), "the resumed run has other samples"
    assert metrics(out / "killed") == metrics(out / "server"), "the resumed run has other metrics"
    n_asked = len(Proxy.seen) - len(seen)
    print(f"killed and resumed: the same samples and metrics, {n_asked} requests answered")
    subprocess.run([extracot, "compare", str(out / "local"), str(out / "server")], check=True)
    assert texts >= LEAST_EQUAL * len(pairs), "the texts differ more than ties explain"


if __name__ == "__main__":
    main()
