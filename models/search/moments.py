"""Exact second moments of product bits under a joint distribution of the operands.

A circuit that reads at most four operand bits is a sum of at most 16 Walsh functions
`chi_u(a, w) = (-1)^popcount(u & x)`, where the pattern `x` holds the bits of `a` (0..7) and of `w`
(8..15) and `u` is a mask of 16 bits. Second moments of all bits therefore follow from those of the
Walsh functions, `E[chi_u chi_v] = E[chi_(u xor v)]`: one transform of p(a, w), in float64.

An array adds a constant per output channel for nothing (it goes into the bias), so what counts is
centred on the weight, f - E[f | w]. Then

    <chi_u, chi_v> = E[chi_(u xor v)] - sum_w p(w) E[chi_u | w] E[chi_v | w].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

A_BITS, W_BITS = 0x00FF, 0xFF00


@dataclass(frozen=True)
class Moments:
    """Inner products of Walsh functions.

    masks: int64 [B], the functions; index: int32 [65536], position of a mask in `masks` or -1;
    gram: float64 [B, B]; target: float64 [B], coefficients of `a * w`;
    mean: float64 [B], E[chi] (for the offset); power: E[(target centred)^2].
    """

    masks: np.ndarray
    index: np.ndarray
    gram: np.ndarray
    target: np.ndarray
    mean: np.ndarray
    power: float


def table_moments(gram: np.ndarray) -> Moments:
    """Moments over arbitrary functions, not Walsh functions: `gram` float64 [N + 1, N + 1], the target last.

    Candidates are then the basis itself, one each (`models.search.pool.table_pool`).
    """
    count = len(gram)
    none = np.full(65536, -1, np.int32)
    target = np.zeros(count)
    target[-1] = 1.0
    return Moments(np.arange(count), none, gram, target, np.zeros(count), float(gram[-1, -1]))


def basis_masks(order: int = 4) -> np.ndarray:
    """Masks of at most `order` operand bits, int64 [B], the empty one first."""
    masks = [sum(1 << i for i in bits) for k in range(order + 1) for bits in combinations(range(16), k)]
    return np.array(masks, np.int64)


def walsh_transform(values: np.ndarray) -> np.ndarray:
    """Unnormalised Walsh-Hadamard transform along the last axis (a power of two long), float64."""
    out = np.array(values, np.float64)
    size, step = out.shape[-1], 1
    while step < size:
        pairs = out.reshape(*out.shape[:-1], size // (2 * step), 2, step)
        low, high = pairs[..., 0, :].copy(), pairs[..., 1, :].copy()
        pairs[..., 0, :] = low + high
        pairs[..., 1, :] = low - high
        step *= 2
    return out


def patterns(joint: np.ndarray) -> np.ndarray:
    """[256, 256] by (a + 128, w + 128) -> [256, 256] by the bit patterns (w & 255, a & 255)."""
    return np.roll(joint, (-128, -128), axis=(0, 1)).T


def product_coefficients(masks: np.ndarray) -> np.ndarray:
    """Walsh coefficients of `a * w`, float64 [B]: a = 1/2 sum(-alpha_i chi_i) - 1/2, alpha_7 = -128."""
    alpha = np.array([1, 2, 4, 8, 16, 32, 64, -128]) / 2
    operand = {0: -0.5} | {1 << i: -alpha[i] for i in range(8)}
    return np.array([operand.get(int(u & 255), 0.0) * operand.get(int(u >> 8), 0.0) for u in masks])


def mean_over_weights(by_pattern: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """E_w[chi_T(w)] of the weight part T of each mask: float64 [B]; `by_pattern` p [256 w, 256 a]."""
    return walsh_transform(by_pattern.sum(1))[masks >> 8]


def walsh_moments(
    joint: np.ndarray,
    masks: np.ndarray | None = None,
    centred: bool = True,
    coherent: np.ndarray | None = None,
) -> Moments:
    """Moments under p(a, w) `joint` (float64 [256, 256], sum 1), centred on the weight if asked.

    `coherent` float64 [256, 256], index [a + 128, a' + 128], adds `f @ coherent @ f` for the mean over
    the weights f(a) of a function (see models.search.target).
    """
    masks = basis_masks() if masks is None else masks
    by_pattern = patterns(joint)
    mean = walsh_transform(by_pattern.reshape(-1))  # E[chi_u] for all 65,536 masks
    gram = mean[masks[:, None] ^ masks[None, :]]
    if centred:
        given_w = walsh_transform(by_pattern)  # p(w) E[chi_S | w]: [w, S]
        p_w = by_pattern.sum(1)
        used = np.unique(masks & 255)
        scaled = given_w[:, used] / np.sqrt(np.where(p_w > 0, p_w, 1))[:, None]
        row = np.searchsorted(used, masks & 255)
        for s in range(len(used)):  # E over w of chi_U E[chi_S | w] E[chi_S' | w], for all S' and U
            table = walsh_transform((scaled[:, s : s + 1] * scaled).T)
            rows = np.flatnonzero(row == s)
            gram[rows] -= table[row[None, :], (masks[rows, None] ^ masks[None, :]) >> 8]
    if coherent is not None:
        by_bits = walsh_transform(walsh_transform(np.roll(coherent, (-128, -128), (0, 1))).T).T
        over_w = mean_over_weights(by_pattern, masks)
        gram += over_w[:, None] * over_w * by_bits[np.ix_(masks & 255, masks & 255)]
    index = np.full(65536, -1, np.int32)
    index[masks] = np.arange(len(masks))
    target = product_coefficients(masks)
    return Moments(masks, index, gram, target, mean[masks], float(target @ gram @ target))
