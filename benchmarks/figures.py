"""What is computed from measurements: differences of parity, medians, ratios with an interval.

    python -m doctest benchmarks/figures.py     # checks the examples
"""
import math
import random
import statistics

# A rival has to compute the same before it is timed.
LOGITS_ABSOLUTE = 1e-4
LOSS_RELATIVE = 1e-4


def logits_difference(ours, theirs):
    """The largest absolute difference of two lists of logits.

    >>> logits_difference([1.0, 2.0], [1.0, 2.5])
    0.5
    >>> logits_difference([1.0, float("nan")], [1.0, 2.0])
    inf
    >>> logits_difference([1.0], [1.0, 2.0])
    inf
    """
    if len(ours) != len(theirs) or not ours:
        return math.inf
    differences = [abs(a - b) for a, b in zip(ours, theirs)]
    # max() passes over a NaN that is not in front.
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def relative_difference(ours, theirs):
    """Of two numbers, relative to the larger.

    >>> relative_difference(2.0, 1.0)
    0.5
    >>> relative_difference(0.0, 0.0)
    0.0
    >>> relative_difference(float("nan"), 1.0)
    inf
    """
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        return math.inf
    scale = max(abs(ours), abs(theirs))
    return abs(ours - theirs) / scale if scale else 0.0


def common_prefix(ours, theirs):
    """How many tokens two lists begin with in common.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    return next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))


def parity_failures(ours, theirs, logits_absolute=LOGITS_ABSOLUTE):
    """What differs by more than is allowed, of what both computed; both have to have computed something.

    >>> one = {"train": {"loss": 6.0, "grad_norm": 2.0}, "prefill": {"logits": [0.0, 1.0]}}
    >>> parity_failures(one, one)
    []
    >>> other = {"train": {"loss": 6.0, "grad_norm": 2.1}, "prefill": {"logits": [0.0, 1.001]}}
    >>> [text.split(":")[0] for text in parity_failures(one, other)]
    ['grad_norm', 'logits']
    >>> parity_failures(one, other, logits_absolute=1e-2)
    ['grad_norm: 2.0 against 2.1, relative difference 4.8e-02']
    >>> parity_failures(one, {})
    ['nothing was compared']
    """
    failures, n_compared = [], 0
    if "train" in ours and "train" in theirs:
        for key in ("loss", "grad_norm"):
            n_compared += 1
            a, b = ours["train"][key], theirs["train"][key]
            difference = relative_difference(a, b)
            if not difference <= LOSS_RELATIVE:
                failures.append(f"{key}: {a} against {b}, relative difference {difference:.1e}")
    if "prefill" in ours and "prefill" in theirs:
        n_compared += 1
        difference = logits_difference(ours["prefill"]["logits"], theirs["prefill"]["logits"])
        if not difference <= logits_absolute:
            failures.append(f"logits: largest difference {difference:.1e}")
    return failures if n_compared else ["nothing was compared"]


def median_ratio(numerators, denominators, n_resamples=10_000, seed=1):
    """Median of the ratios of the rounds, and the central 95 % of the medians of resampled rounds.

    >>> median_ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    (2.0, 2.0, 3.0)
    >>> median_ratio([3.0], [2.0])
    (1.5, 1.5, 1.5)
    """
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError(f"{len(numerators)} and {len(denominators)} rounds")
    ratios = [a / b for a, b in zip(numerators, denominators)]
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(n_resamples))
    low, high = medians[round(0.025 * (n_resamples - 1))], medians[round(0.975 * (n_resamples - 1))]
    return statistics.median(ratios), low, high


def verdict(low, high):
    """What an interval of a ratio says.

    >>> verdict(1.1, 1.4), verdict(0.9, 1.2), verdict(0.5, 0.6)
    ('faster', 'no difference', 'slower')
    """
    if low > 1.0:
        return "faster"
    return "slower" if high < 1.0 else "no difference"


def foreign_share(before, after):
    """Share of processor time that others took between two texts of /proc/stat, this process asleep.

    >>> foreign_share("cpu  100 0 50 800 30 5 5 10 0 0", "cpu  110 0 60 880 30 5 5 10 0 0")
    0.2
    """
    def times(text):
        fields = [int(field) for field in text.split("\n")[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    (all_before, idle_before), (all_after, idle_after) = times(before), times(after)
    passed = all_after - all_before
    return (passed - (idle_after - idle_before)) / passed if passed else math.nan
