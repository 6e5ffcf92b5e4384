"""Time the degradations: ms of one core a window by word, of every form, and of the composition.

python benchmarks/degradations.py [--side 128] [--repeats 60] [--forms]
"""

import argparse
import time
from collections import defaultdict

import numpy as np

from pellucid.degradations import FORMS
from pellucid.degradations.camera import photograph
from pellucid.degradations.fields import levels, smooth_field


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--forms", action="store_true", help="a line for every form")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    cells = (2, 8, 40)
    side = args.side
    scene = [sum(smooth_field(rng, side, side, c) for c in cells) / 3 for _ in range(3)]
    scene = levels(np.stack(scene, axis=-1))
    print(f"{side} x {side} px, mean of {args.repeats}, ms")
    for word, forms in FORMS.items():
        times = {form: milliseconds(form, scene, args.repeats) for form in dict.fromkeys(forms)}
        print(f"{word:18}{np.mean([times[form] for form in forms]):7.1f}")
        if args.forms:
            for form, spent in times.items():
                print(f"    {form.__name__:18}{spent:7.1f}")
    spent = defaultdict(list)
    for seed in range(10 * args.repeats):
        start = time.process_time()
        words = photograph(scene, np.random.default_rng(seed)).words
        spent[len(words) if words != ("clean",) else 0].append(time.process_time() - start)
    for count, times in sorted(spent.items()):
        print(f"photograph, {count} words{1e3 * np.mean(times):7.1f}")
    every = [t for times in spent.values() for t in times]
    print(f"photograph, mean   {1e3 * np.mean(every):7.1f}")


def milliseconds(form, scene: np.ndarray, repeats: int) -> float:
    form(scene, np.random.default_rng(0))
    start = time.process_time()
    for seed in range(repeats):
        form(scene, np.random.default_rng(seed))
    return 1e3 * (time.process_time() - start) / repeats


if __name__ == "__main__":
    main()
