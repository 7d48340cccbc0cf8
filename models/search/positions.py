"""Position weights that hardware likes: integers, or powers of two chosen together with the bits.

A power of two needs no adder of its own: it merges into one compressor tree. Rounding all weights
at once costs several bits' worth of accuracy, so they are fixed one after another with the others
refitted, then improved by changing one or two weights, or a bit with its weight, at a time.
"""

from __future__ import annotations

import numpy as np

from models.search.select import Choice, Progress, Selector

MAX_SHIFT = 14  # position weights lie below 2^15 in size


def nearest_power(values: np.ndarray) -> np.ndarray:
    """Nearest +-2^k, 0 <= k <= 14, by absolute distance; 0 counts as +1. Float64, any shape."""
    size = np.maximum(np.abs(values), 1.0)
    low = np.exp2(np.minimum(np.floor(np.log2(size)), MAX_SHIFT))
    power = np.where((size - low > 2 * low - size) & (low < 2**MAX_SHIFT), 2 * low, low)
    return np.where(values < 0, -power, power)


def round_weights(selector: Selector, choice: Choice) -> Choice:
    """Integer weights, not 0: the least are fixed first, the others refitted after each."""
    order = np.argsort(np.abs(choice.weights))
    fixed: dict[int, float] = {}
    for m in order:
        value = float(np.clip(np.rint(choice.weights[m]), -(2**15) + 1, 2**15 - 1))
        fixed[int(m)] = value or float(np.sign(choice.weights[m]) or 1)
        choice = selector.fit(choice.chosen, fixed)
    return choice


def fix_powers(selector: Selector, choice: Choice) -> Choice:
    """Powers of two: the weight whose rounding (others refitted) costs least is fixed, until all are."""
    fixed: dict[int, float] = {}
    count = len(choice.chosen)
    while len(fixed) < count:
        best: tuple[float, int, Choice] | None = None
        free = [m for m in range(count) if m not in fixed]
        # the dearest error comes from large terms: only the few largest left compete
        rank = sorted(free, key=lambda m: -abs(choice.weights[m]) * selector.norms[choice.chosen[m]] ** 0.5)[:6]
        for m in rank:
            trial = selector.fit(choice.chosen, fixed | {m: float(nearest_power(choice.weights[m]))})
            if best is None or trial.error < best[0]:
                best = (trial.error, m, trial)
        choice = best[2]
        fixed[best[1]] = float(choice.weights[best[1]])
    return choice


def improve_powers(selector: Selector, choice: Choice) -> Choice:
    """Local search over one or two weights (halved, doubled, negated) at a time."""
    chosen, weights = choice.chosen, choice.weights.copy()
    gram = np.array([selector.column(n)[chosen] for n in chosen])
    rhs, diagonal = selector.correlation[chosen], np.diag(gram)
    while True:
        slope = -2 * (rhs - gram @ weights)
        options = np.stack([weights * 2, weights / 2, -weights, -weights * 2, -weights / 2], 1)
        legal = (np.abs(options) >= 1) & (np.abs(options) <= 2**MAX_SHIFT)
        step = np.where(legal, options - weights[:, None], 0.0)
        step = np.concatenate([np.zeros((len(weights), 1)), step], 1)  # [M, 6]
        alone = slope[:, None] * step + diagonal[:, None] * step**2
        both = alone[:, :, None, None] + alone[None, None] + 2 * np.einsum("ip,jq,ij->ipjq", step, step, gram)
        for m in range(len(weights)):
            both[m, :, m, :] = np.inf
            both[m, :, m, 0] = alone[m]
        i, p, j, q = np.unravel_index(int(both.argmin()), both.shape)
        if both[i, p, j, q] > -1e-9 * abs(choice.error):
            return Choice(list(chosen), weights, selector.error(gram, rhs, weights))
        weights[i] += step[i, p]
        weights[j] += step[j, q] if i != j else 0.0


def swap_powers(selector: Selector, choice: Choice, progress: Progress) -> Choice:
    """Replace a bit and its weight by the best candidate with a power of two, while that helps."""
    while True:
        before = choice.error
        columns = np.array([selector.column(n) for n in choice.chosen])
        residual = selector.correlation - choice.weights @ columns
        best = (0.0, 0, 0, 0.0)
        for m, (n, weight) in enumerate(zip(choice.chosen, choice.weights, strict=True)):
            without = residual + weight * columns[m]
            power = nearest_power(without / selector.norms)
            gain = 2 * power * without - power**2 * selector.norms
            now = 2 * weight * without[n] - weight**2 * selector.norms[n]
            gain[choice.chosen] = -np.inf
            k = int(gain.argmax())
            if gain[k] - now > best[0]:
                best = (gain[k] - now, m, k, power[k])
        if best[0] > 1e-9 * before:
            chosen, weights = list(choice.chosen), choice.weights.copy()
            chosen[best[1]], weights[best[1]] = best[2], best[3]
            choice = Choice(chosen, weights, before - best[0])
        choice = improve_powers(selector, choice)
        progress("powers", choice.error)
        if choice.error > before * (1 - 1e-7):
            return choice


def power_of_two_weights(
    selector: Selector, choice: Choice, rng: np.random.Generator, progress: Progress, kicks: int = 100
) -> Choice:
    """Bits and powers of two together: fixed one by one, local search, then `kicks` random restarts nearby.

    A kick replaces up to four bits by random ones that correlate with what is left, refits the others
    freely and fixes the powers again; it is kept if the error is lower.
    """
    best = swap_powers(selector, fix_powers(selector, choice), progress)
    for _ in range(kicks):
        trial = list(best.chosen)
        gone = rng.choice(len(trial), int(rng.integers(1, min(5, len(trial) + 1))), replace=False)
        rest = [n for m, n in enumerate(trial) if m not in set(gone.tolist())]
        for _ in gone:
            gains = selector.gains(rest)
            top = np.argpartition(gains, -20)[-20:]
            rest.append(int(rng.choice(top, p=gains[top] / gains[top].sum())))
        choice = swap_powers(selector, fix_powers(selector, selector.fit(rest)), progress)
        if choice.error < best.error:
            best = choice
        progress("kicks", best.error)
    return best
