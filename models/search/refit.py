"""Position weights retrained for a network: `python -m models.search.refit --encoding m16p --net resnet20_cifar10`.

The gates stay, so does the array; the weights of the product bits and of f(a) are fitted anew to the network's
target (models/search/target.py), as EncodingNet's first version (arXiv 2402.18595v1) retrains them for each
network. Here it is a linear least-squares problem with an exact answer: the centred inner products of the bits
with each other and with a*w under the network's operands. Weights are then rounded one after another, those
of least effect first, to integers, the others fitted again after each. The weights are no longer powers of
two: the decoder of a column costs area, which the encoding's figures tell.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from models.encoding import LIBRARY, Encoding, export_package, load_encoding
from models.search.__main__ import check_name, in_names
from models.search.figures import SQUARE
from models.search.presets import all_figures
from models.search.target import Target, load_target, measured_target
from tools.options import parse

LIMIT = 1 << 14  # largest position weight


def solve(gram: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Least-squares weights float64 [N]; functions that others explain get the least weights that do."""
    return np.linalg.lstsq(gram, rhs, rcond=1e-10)[0]


def rounded(value: float) -> float:
    """`value` as an integer other than 0, at most LIMIT in size."""
    return float(np.clip(np.rint(value), -LIMIT, LIMIT)) or float(np.sign(value) or 1)


def fit(gram: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Integer weights int64 [N] of functions with inner products `gram` [N, N] and `rhs` [N] with the product."""
    count = len(rhs)
    values, fixed = solve(gram, rhs), np.zeros(count, bool)
    for _ in range(count):
        # what is smallest loses most by rounding when others can still make up for it: it goes first
        effect = np.where(fixed, np.inf, np.abs(values) * np.sqrt(np.diag(gram)))
        n = int(effect.argmin())
        values[n], fixed[n] = rounded(values[n]), True
        free = ~fixed
        if free.any():
            values[free] = solve(gram[np.ix_(free, free)], rhs[free] - gram[np.ix_(free, fixed)] @ values[fixed])
    return np.rint(values).astype(np.int64)


def refit(encoding: Encoding, target: Target, name: str) -> Encoding:
    """`encoding` with the integer position weights, and weights of f(a), that fit `target` best.

    g(w) goes: what a weight adds on average belongs to the bias.
    """
    operands = np.arange(-128, 128)
    wires = encoding.wires(operands[:, None], operands[None, :])
    along = encoding.shared_bits()
    read = [*encoding.bits, *(wire for wire, _ in along)]
    gram = target.gram(np.stack([*(wires[i] for i in read), SQUARE]))
    values = fit(gram[:-1, :-1], gram[:-1, -1])
    weights, extra = values[: encoding.m], values[encoding.m :]
    shared = tuple((wire, int(v)) for (wire, _), v in zip(along, extra, strict=True))
    text = f"{encoding.name} with position weights retrained"
    plain = replace(
        encoding, name=name, description=text, weights=tuple(map(int, weights)), shared=shared, offset=0,
        provenance={}, figures={},
    )  # fmt: skip
    offset = int(np.rint((target.joint * (SQUARE - plain.product_table)).sum()))
    try:
        return replace(plain, offset=offset)
    except UserError:  # a product would not fit 16 bits: leave it to the bias correction
        return plain


def main() -> None:
    """Command line: fit, say what it gained, write the encoding."""
    args = parse("models.search.refit")
    if bool(args.net) == bool(args.hist):
        raise UserError("fitted to what? give --net or --hist")
    encoding = load_encoding(args.encoding)
    name = check_name(args.name or f"{encoding.name}_{in_names(Path(args.net or args.hist).stem)}", args.out)
    path = args.hist or measured_target(args.net, args.data, lambda text: print(text, file=sys.stderr))
    target = load_target(path)
    found = refit(encoding, target, name)
    found.figures.update(all_figures(found, target))
    words = [
        f"--{k} {v}"
        for k, v in (("encoding", encoding.name), ("net", args.net), ("hist", args.hist), ("data", args.data))
        if v
    ]
    command = " ".join(["python -m models.search.refit", *words, f"--name {found.name}"])
    found.provenance.update(command=command, encoding_sha256=encoding.sha256)
    try:
        found.save(args.out / f"{found.name}.json")
        if args.out == LIBRARY:
            export_package(found)
    except OSError as error:
        raise UserError(f"cannot write {args.out} ({error.strerror}); choose another --out") from error
    before, after = (target.noise(e.product_table) for e in (encoding, found))
    print(f"{found.name}.json: predicted noise of the result {before:.4f} before, {after:.4f} after")


if __name__ == "__main__":
    run_cli(main)
