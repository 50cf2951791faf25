"""Times extracot against PyTorch and candle in interleaved rounds of separate processes; see README.md.

    cargo build -p experiments --bin extracot
    python benchmarks/compare.py --python VENV/bin/python --out runs/compare

Nothing is timed before the sides agree on logits, loss and gradient norm. Tables in Markdown go to standard
output, every line of every process to OUT/raw.jsonl.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import tomllib

import figures

ROOT = pathlib.Path(__file__).resolve().parent.parent
DECODE_BATCHES = "1,8,32,64"
# candle is measured where it is the one to beat: few rows.
CANDLE_BATCHES = {"1", "8"}
# Beyond this share of processor time others disturb a measurement.
DISTURBED = 0.05
SIZES = {
    "1m": dict(
        title="1 M parameters", repeats=5, kinds=["train", "prefill", "decode"], batches=DECODE_BATCHES,
        decoder="--hidden 128 --layers 4 --heads 4 --kv-heads 4 --head-dim 32 --ffn 384 --vocab 512",
        work="--train-batch 32 --train-tokens 128 --prefill-tokens 512 --prompt-tokens 1 --new-tokens 96"),
    "34m": dict(
        title="34 M parameters", repeats=2, kinds=["train", "prefill", "decode"], batches=DECODE_BATCHES,
        decoder="--hidden 512 --layers 8 --heads 8 --kv-heads 4 --head-dim 64 --ffn 1536 --vocab 16384",
        work="--train-batch 4 --train-tokens 256 --prefill-tokens 512 --prompt-tokens 1 --new-tokens 96"),
    "smollm2": dict(
        title="SmolLM2-135M", repeats=2, kinds=["prefill", "decode"], batches="1",
        # Trained weights give logits of tens: as many digits agree.
        logits=1e-3, work="--prefill-tokens 512 --prompt-tokens 64 --new-tokens 64"),
}
# Peak memory: fresh processes that do nothing else.
MEMORY = {"inference": ("prefill,decode", "8"), "training": ("train", "8")}
KINDS = ["train", "prefill", "decode", "memory"]
NAMES = {"torch": "PyTorch", "candle": "candle"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", required=True, type=pathlib.Path, help="folder for checkpoints, ids and raw lines")
    add("--extracot", default=ROOT / "target/debug/extracot", type=pathlib.Path)
    add("--python", help="a Python with torch and transformers; without it PyTorch is left out")
    add("--candle", type=pathlib.Path, help="the program that benchmarks/candle builds; without it candle is left out")
    add("--smollm2", type=pathlib.Path, help="folder of SmolLM2-135M; without it that size is left out")
    add("--sizes", default="1m,34m,smollm2")
    add("--kinds", default="train,prefill,decode,memory")
    add("--rounds", type=int, default=5)
    add("--repeats", type=int, help="measurements per process, after one that does not count")
    add("--threads", type=int, default=os.cpu_count())
    add("--n-shards", type=int, default=1, help="of extracot's training step")
    add("--n-workers", type=int, default=1, help="of extracot's decoding")
    add("--least-rows", type=int, default=1, help="of each of these workers' batches")
    add("--rivals-malloc", action="store_true", help="give the rivals cargo's settings of glibc's allocator too")
    add("--allow-busy", action="store_true", help="measure although others use the processors")
    args = parser.parse_args()
    for name in ("rounds", "threads", "n_shards", "n_workers", "least_rows"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} has to be at least 1")
    if args.repeats is not None and args.repeats < 1:
        parser.error("--repeats has to be at least 1")
    args.sizes, args.kinds = args.sizes.split(","), args.kinds.split(",")
    for what, asked, known in [("--sizes", args.sizes, SIZES), ("--kinds", args.kinds, KINDS)]:
        unknown = [name for name in asked if name not in known]
        if unknown:
            parser.error(f"{what} {', '.join(unknown)}: known are {', '.join(known)}")
    if args.threads > os.cpu_count():
        parser.error(f"--threads {args.threads}: there are {os.cpu_count()} processors")
    raw = args.out / "raw.jsonl"
    if raw.exists() and raw.stat().st_size:
        parser.error(f"{args.out} holds an earlier comparison: choose another --out")
    if not (args.python or args.candle):
        parser.error("nothing to compare with: --python or --candle")
    for program in (args.extracot, args.candle, args.python):
        if program and not shutil.which(program):
            parser.error(f"{program} is no program")
    return args


class Side:
    """One of the programs; all take the same ids and print the same lines."""

    def __init__(self, name, args):
        self.name, self.args = name, args
        threads = str(args.threads)
        self.env = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if name == "extracot" or args.rivals_malloc:
            with open(ROOT / ".cargo/config.toml", "rb") as file:
                self.env.update(tomllib.load(file)["env"])

    def can(self, kind):
        return kind != "train" or self.name != "candle"

    def command(self, task, kinds, batches, repeats, parity=None):
        """Times `kinds` of work, or writes what it computes to the file `parity`."""
        kinds = ",".join(kind for kind in kinds.split(",") if self.can(kind))
        if self.name == "candle":
            batches = ",".join(batch for batch in batches.split(",") if batch in CANDLE_BATCHES)
        common = ["--model", task.checkpoint, "--kinds", kinds, "--decode-batches", batches, "--repeats", repeats]
        common += ["--parity", parity] if parity else []
        args = self.args
        if self.name == "extracot":
            shape = ["--threads", args.threads, "--n-shards", args.n_shards, "--n-workers", args.n_workers]
            shape += ["--least-rows", args.least_rows]
            return [args.extracot, "bench", "--parts", "decoder", "--idle-seconds", 0, *task.work, *shape, *common]
        if self.name == "torch":
            script = ROOT / "benchmarks/torch_side.py"
            return [args.python, script, "--ids", task.parity("extracot"), "--threads", args.threads, *common]
        return [args.candle, "--ids", task.parity("extracot"), *common]

    def run(self, *command):
        """The JSON lines that a process prints."""
        command = [str(word) for word in command]
        done = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{self.name} failed ({done.returncode}): {' '.join(command)}")
        return [json.loads(line) for line in done.stdout.splitlines()]


class Task:
    """A size: its checkpoint, its ids, its rounds."""

    def __init__(self, name, args, raw):
        self.name, self.size, self.args, self.raw = name, SIZES[name], args, raw
        self.folder = args.out / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = args.smollm2 if name == "smollm2" else self.folder / "checkpoint"
        self.work = self.size["work"].split()
        self.kinds = [kind for kind in self.size["kinds"] if kind in args.kinds]
        self.repeats = args.repeats or self.size["repeats"]
        rivals = [("torch", args.python), ("candle", args.candle)]
        self.sides = [Side(side, args) for side, program in [("extracot", True), *rivals] if program]
        self.lines = []

    def parity(self, side):
        return self.folder / f"parity_{side}.json"

    def prepare(self):
        """Writes the checkpoint and the ids, and stops where a side computes something else."""
        extracot, *rivals = self.sides
        if self.name != "smollm2":
            decoder = self.size["decoder"].split()
            extracot.run(self.args.extracot, "bench", "--parts", "decoder", "--kinds", "prefill", *decoder,
                         "--save", self.checkpoint, "--parity", self.folder / "saved.json")
        # All kinds: memory is measured on their ids too.
        kinds = ",".join(self.size["kinds"])
        for side in self.sides:
            side.run(*side.command(self, kinds, self.size["batches"], 1, self.parity(side.name)))
        ours = json.loads(self.parity("extracot").read_text())
        for side in rivals:
            theirs = json.loads(self.parity(side.name).read_text())
            failures = figures.parity_failures(ours, theirs, self.size.get("logits", figures.LOGITS_ABSOLUTE))
            if failures:
                sys.exit(f"{self.name}: extracot and {side.name} differ, nothing is timed: {'; '.join(failures)}")
            self.say(f"{side.name} agrees: {agreement(ours, theirs)}")

    def measure(self):
        """Rounds of all sides in turn, then their memory."""
        for number in range(self.args.rounds if self.kinds else 0):
            share = look()
            for side in self.sides:
                kinds = ",".join(kind for kind in self.kinds if side.can(kind))
                if kinds:
                    self.keep(side, side.command(self, kinds, self.size["batches"], self.repeats), number, share)
            self.say(f"round {number + 1} of {self.args.rounds}")
        if "memory" in self.args.kinds:
            for what, (kinds, batches) in MEMORY.items():
                wanted = [kind for kind in kinds.split(",") if kind in self.size["kinds"]]
                batches = batches if self.size["batches"] != "1" else "1"
                for side in self.sides:
                    asked = ",".join(kind for kind in wanted if side.can(kind))
                    if asked:
                        self.keep(side, side.command(self, asked, batches, 1), what, None)

    def keep(self, side, command, number, share):
        for line in side.run(*command):
            line = {"size_name": self.name, "side": side.name, "round": number, "foreign_before": share, **line}
            self.raw.write(json.dumps(line) + "\n")
            self.lines.append(line)
        self.raw.flush()

    def say(self, text):
        print(f"[{self.name}] {text}", file=sys.stderr, flush=True)

    def rates(self, side, bench, key):
        """By round."""
        return [line[key] for line in self.lines
                if line["side"] == side and line["bench"] == bench and isinstance(line["round"], int) and line.get(key)]

    def tables(self):
        """What docs/benchmarks.md shows."""
        timed = [line["bench"] for line in self.lines if "unit" in line and isinstance(line["round"], int)]
        benches = dict.fromkeys(timed)
        for side in self.sides[1:]:
            rows = [row for bench in benches if (row := self.row(side.name, bench))]
            if rows:
                rival = NAMES[side.name]
                print(f"\n**{self.size['title']}, against {rival}**, tokens/s, medians of {self.args.rounds} rounds, "
                      f"{self.args.threads} threads\n\n| | extracot | {rival} | ratio | 95 % | by processor time | |\n"
                      "|---|---|---|---|---|---|---|\n" + "\n".join(rows))
        peaks = [row for what in MEMORY if (row := self.memory_row(what))]
        if peaks:
            print(f"\n**{self.size['title']}, peak memory**, MiB, fresh processes\n\n| | "
                  + " | ".join(NAMES.get(side.name, side.name) for side in self.sides)
                  + " |\n" + "|---" * (len(self.sides) + 1) + "|\n" + "\n".join(peaks))
        shares = [line["foreign_before"] for line in self.lines if line["foreign_before"] is not None]
        if shares:
            print(f"\nOthers took at most {100 * max(shares):.1f} % of the processor time before a round.")

    def row(self, rival, bench):
        ours, theirs = (self.rates(side, bench, "median_rate") for side in ("extracot", rival))
        if not ours or not theirs:
            return None
        ratio, low, high = figures.median_ratio(ours, theirs)
        by_time = [self.rates(side, bench, "rate_per_cpu_second") for side in ("extracot", rival)]
        by_time = f"{figures.median_ratio(*by_time)[0]:.2f}" if len(by_time[0]) == len(by_time[1]) > 0 else ""
        return (f"| {bench} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {ratio:.2f} "
                f"| {low:.2f} to {high:.2f} | {by_time} | {figures.verdict(low, high)} |")

    def memory_row(self, what):
        peaks = [next((line["peak_resident_mib"] for line in self.lines
                       if line["side"] == side.name and line["round"] == what and line["bench"] == "end"), None)
                 for side in self.sides]
        if peaks[0] is None:
            return None
        return f"| {what} | " + " | ".join("" if peak is None else f"{peak:.0f}" for peak in peaks) + " |"


def agreement(ours, theirs):
    """How well two sides agree, in words."""
    parts = []
    if "prefill" in theirs:
        difference = figures.logits_difference(ours["prefill"]["logits"], theirs["prefill"]["logits"])
        parts.append(f"logits within {difference:.1e}")
    if "train" in theirs:
        pairs = [(ours["train"][key], theirs["train"][key]) for key in ("loss", "grad_norm")]
        difference = max(figures.relative_difference(*pair) for pair in pairs)
        parts.append(f"loss and gradient norm within {difference:.1e}")
    if "decode" in theirs:
        rows = ours["decode"]["first_row"], theirs["decode"]["first_row"]
        parts.append(f"{figures.common_prefix(*rows)} of {len(rows[0])} greedy tokens")
    return ", ".join(parts)


def look(seconds=2.0):
    """What others take of the processors; None on a system without /proc."""
    path = pathlib.Path("/proc/stat")
    if not path.is_file():
        return None
    before = path.read_text()
    time.sleep(seconds)
    return figures.foreign_share(before, path.read_text())


def main():
    args = arguments()
    share = look()
    sys.stdout.reconfigure(line_buffering=True)
    if share is None:
        print("this system does not say whether it is idle", file=sys.stderr)
    elif share > DISTURBED:
        text = f"other processes take {100 * share:.0f} % of the processor time"
        if not args.allow_busy:
            sys.exit(f"{text}; wait, or measure what means little with --allow-busy")
        print(f"warning: {text}: the measurements mean little", file=sys.stderr)
    if hasattr(os, "sched_setaffinity"):
        # Processes that this one starts stay there too.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "raw.jsonl", "w") as raw:
        for name in args.sizes:
            if name == "smollm2" and not args.smollm2:
                print("[smollm2] left out: no --smollm2", file=sys.stderr)
                continue
            task = Task(name, args, raw)
            task.prepare()
            task.measure()
            task.tables()


if __name__ == "__main__":
    main()
