"""The PyTorch side: a checkpoint in transformers, float32, eager, on the CPU.

Takes the token ids that `extracot bench --parity` wrote. Prints JSON lines as `extracot bench` does; with
--parity FILE it writes what it computes for the ids instead, and times nothing.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import transformers


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--ids", required=True, metavar="FILE", help="what `extracot bench --parity` wrote")
    parser.add_argument("--kinds", default="train,prefill,decode")
    parser.add_argument("--decode-batches", default="1,8,32,64")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--parity", metavar="FILE")
    return parser.parse_args()


class Work:
    """What is timed: the same steps on the same ids as the other sides."""

    def __init__(self, folder, ids):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model.generation_config.eos_token_id = None
        self.ids = ids

    def trainer(self):
        """A training step with an optimizer of its own: forward, backward, clip, AdamW."""
        rows = torch.tensor(self.ids["train"]["token_ids"])
        fed, wanted = rows[:, :-1].contiguous(), rows[:, 1:].reshape(-1)
        model = self.model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)

        def backward():
            logits = model(fed, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), wanted)
            loss.backward()
            return loss

        def step():
            loss = backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            return loss.item()

        return backward, step, wanted.numel()

    def gradient_norm(self):
        """Summed in float64: the norm that clip_grad_norm_ gives is off by 2e-4 at 34 M parameters."""
        squares = [parameter.grad.double().square().sum() for parameter in self.model.parameters()]
        return torch.stack(squares).sum().sqrt().item()

    @torch.inference_mode()
    def last_logits(self):
        """The head at the last position only; keys and values are cached."""
        ids = torch.tensor([self.ids["prefill"]["token_ids"]])
        return self.model(ids, logits_to_keep=1).logits[0, -1]

    @torch.inference_mode()
    def decode(self, n_rows):
        """Greedy, with a cache, nothing ends a row early."""
        prompts = torch.tensor(self.ids["decode"]["prompts"][:n_rows])
        n_new = self.ids["decode"]["new_tokens"]
        tokens = self.model.generate(
            prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=n_new, min_new_tokens=n_new,
            do_sample=False, pad_token_id=0)
        return tokens[:, prompts.shape[1]:]


def measure(bench, n_tokens, repeats, threads, work):
    """One line, after one time that does not count."""
    work()
    seconds, cpu = [], time.process_time()
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    cpu = time.process_time() - cpu
    best, median = min(seconds), statistics.median(seconds)
    print(json.dumps({
        "bench": bench, "size": n_tokens, "seconds": best, "median_seconds": median, "rate": n_tokens / best,
        "median_rate": n_tokens / median, "rate_per_cpu_second": n_tokens * repeats / cpu, "unit": "tokens/s",
        "repeats": repeats, "threads": threads}), flush=True)


def parity(work, kinds):
    """What this side computes."""
    found = {}
    if "prefill" in kinds:
        found["prefill"] = {"logits": work.last_logits().tolist()}
    if "decode" in kinds:
        found["decode"] = {"first_row": work.decode(1)[0].tolist()}
    if "train" in kinds:
        backward, _, _ = work.trainer()
        found["train"] = {"loss": backward().item(), "grad_norm": work.gradient_norm()}
    return found


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    kinds = args.kinds.split(",")
    with open(args.ids) as file:
        work = Work(args.model, json.load(file))
    if args.parity:
        with open(args.parity, "w") as file:
            json.dump(parity(work, kinds), file)
        return
    print(json.dumps({
        "bench": "host", "torch": torch.__version__, "transformers": transformers.__version__,
        "threads": torch.get_num_threads(), "attention": work.model.config._attn_implementation}), flush=True)
    if "prefill" in kinds:
        work.model.eval()
        n_tokens = len(work.ids["prefill"]["token_ids"])
        measure("prefill", n_tokens, args.repeats, args.threads, work.last_logits)
    if "decode" in kinds:
        work.model.eval()
        n_new = work.ids["decode"]["new_tokens"]
        for n_rows in map(int, args.decode_batches.split(",")):
            measure(f"decode_b{n_rows}", n_rows * n_new, args.repeats, args.threads, lambda: work.decode(n_rows))
    if "train" in kinds:
        _, step, n_tokens = work.trainer()
        measure("train_step", n_tokens, args.repeats, args.threads, step)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"bench": "end", "peak_resident_mib": peak}))


if __name__ == "__main__":
    main()
