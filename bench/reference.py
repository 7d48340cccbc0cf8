"""EncodingNet's public code, imported from a checkout: its objective on our genomes, its layers on our tables.

The checkout (https://github.com/Bo-Liu-TUM/EncodingNet) is run as it is; nothing of it is kept here.
Its script imports a logger that the repository lacks, and pandas for reports that an objective does
not read: where they are missing, empty modules take their place.

Its objective differs from the paper's as we read it (models/search/paper.py): ridge 0.1 on sums over
all operand pairs; the constant competes for a place among the M largest weights; weights are rounded
and not fitted again. `evaluate` is that objective in our arithmetic: Walsh coefficients, float64.

Its layers look up every product of a convolution in the table, as `Convolution` runs them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock, patch

import numpy as np
import torch

from common.errors import UserError
from models.search.native import NAMES, Spectra, max_error, spectra, uniform_fit
from models.search.paper import INPUTS, OUTPUTS, PRODUCT_MAX, ROWS, Genome, active_area, with_constant

SCRIPT = "Code_1_CGP_search.py"
LAYERS = Path("models") / "my_quant_layer.py"
MINI_BATCH = 5  # images that its layers take at a time, as its fine-tuning script sets it
RIDGE = 0.1  # on sums, as in the script
CLASSES = {
    "nand": "NAND2", "nor": "NOR2", "xnor": "XNOR2", "and": "AND2", "or": "OR2", "xor": "XOR2", "not": "NOT",
    "buf": "Identity",
}  # fmt: skip
INPUT, OUTPUT, UNUSED = -1, -2, -3  # markers in its genomes


def evaluate(genome: Genome, m: int) -> tuple[float, float]:
    """(maximal relative error, active area) of the reference's objective, in float64."""
    bits = with_constant(spectra(genome.gates, genome.outputs))
    weights = uniform_fit(bits, RIDGE / 65536)
    kept = np.argsort(-np.abs(weights), kind="stable")[:m]
    chosen = Spectra(bits.counts[kept], bits.masks[kept], bits.values[kept])
    return max_error(chosen, np.rint(weights[kept])) / PRODUCT_MAX, active_area(genome, kept[kept < OUTPUTS])


class Reference:
    """A checkout's objective for M = `m` kept outputs; UserError if `folder` holds none."""

    def __init__(self, folder: Path, m: int) -> None:
        if not (folder / SCRIPT).is_file():
            raise UserError(
                f"REF={folder}: no {SCRIPT} there; give a clone of https://github.com/Bo-Liu-TUM/EncodingNet"
            )
        stand_ins = {name: _stand_in(name) for name in ("kuai_log", "pandas") if importlib.util.find_spec(name) is None}
        torch.set_num_threads(1)
        script = Path(SCRIPT).stem
        silent = io.StringIO()
        try:
            with (
                patch.object(sys, "path", [*sys.path, str(folder)]),  # last: its package `models` must not hide ours
                patch.object(sys, "argv", [SCRIPT]),  # the script reads its arguments when it is imported
                warnings.catch_warnings(),
                contextlib.redirect_stdout(silent),
                contextlib.redirect_stderr(silent),
            ):
                sys.modules.update(stand_ins)
                self.script, self.cgp, self.tools = map(importlib.import_module, (script, "cgp", "encode_tools"))
                self._prepare(m)
        except (Exception, SystemExit) as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UserError(f"REF={folder}: its {SCRIPT} does not load ({text}); is it EncodingNet?") from error
        finally:
            theirs = (script, "cgp", "encode_tools", *stand_ins)
            for name in [name for name in sys.modules if name.split(".")[0] in theirs]:
                del sys.modules[name]

    def _prepare(self, m: int) -> None:
        """Set what the script's own main part sets, on the CPU."""
        self.m = m
        value, inputs, ones = self.tools.gen_inputs_value(bit=8, signed=True, norm_to_one=False)
        self.primitives = tuple(getattr(self.cgp, name) for name in CLASSES.values())
        settings = {"value": value, "inputs": inputs, "constant_ones": ones, "target_bit_width": m}
        settings |= {"maximal_relative_error_th": 0.0, "area_max": 2.0 * 2 * ROWS}
        for name, setting in settings.items():
            setattr(self.script, name, setting)

    def individual(self, genome: Genome) -> object:
        """Our genome as one of the reference: its inputs are the highest bit first."""

        def wire(x: int) -> int:
            return x if x >= INPUTS else 7 - x if x < 8 else 23 - x

        places = {name: place for place, name in enumerate(CLASSES)}
        dna = [INPUT, UNUSED, UNUSED] * INPUTS
        for code, x, y in genome.gates.tolist():
            dna += [places[NAMES[code]], wire(x), wire(y)]
        for output in genome.outputs.tolist():
            dna += [OUTPUT, wire(output), UNUSED]
        theirs = self.cgp.Genome(INPUTS, OUTPUTS, 2, ROWS, self.primitives, 2)
        theirs.dna = dna
        return self.cgp.IndividualSingleGenome(theirs)

    def evaluate(self, individual: object) -> tuple[float, float]:
        """(maximal relative error, active area) of its objective as it is: float32."""
        individual.reset_fitness()
        done = self.script.objective(individual)
        return done.custom_attr_maximal_relative_error, done.custom_attr_area

    def evaluate_float64(self, individual: object) -> tuple[float, float, np.ndarray]:
        """The same by its own functions, called in its order with float64 tensors; and the outputs kept, int [<= M].

        Outputs that are equal tie: which of them is kept, and so the area, is not determined.
        """
        value = self.script.value.double()
        outputs = torch.stack([*individual.to_func()(*self.script.inputs), self.script.constant_ones]).double()
        weights = self.tools.solve_position_weight(outputs, value, alpha=RIDGE)
        kept = weights.abs().view(-1).argsort(descending=True)[: self.m]
        error = self.tools.solve_max_re_rmse(weights.round()[:, kept], outputs[kept], value)[1]
        graph, nodes = self.cgp.CartesianGraph(individual.genome), {}
        kept = kept[kept < OUTPUTS].numpy()
        for output in kept:
            nodes = self.script.get_total_area(graph.output_nodes[output].addresses, graph, nodes)
        return float(error), sum(nodes.values()), kept


class Convolution:
    """A checkout's `QuantConv2d` in its mode `Approx-INT`, on int8 operands in place of quantised floats.

    `x` int8 [N, C, H, W], `weights` int8 [O, C / groups, k, k], `table` int [256, 256], index [a + 128, w + 128].
    """

    def __init__(
        self,
        folder: Path,
        x: np.ndarray,
        weights: np.ndarray,
        table: np.ndarray,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
    ) -> None:
        channels, outputs, kernel = x.shape[1], len(weights), weights.shape[2]
        layers = _layers(folder)
        one = torch.nn.Parameter(torch.tensor(1.0))
        with contextlib.redirect_stdout(io.StringIO()):
            self.layer = layers.QuantConv2d(
                channels, outputs, kernel, stride, (padding, padding), groups=groups,
                weights=torch.nn.Parameter(_fractions(weights)), mini_batch_size=MINI_BATCH,
                mini_channels=outputs // groups, approx_product_value=torch.from_numpy(table.astype(np.float32)),
                mode="Approx-INT",
            )  # fmt: skip
        self.layer.x_max_init_mode = False
        self.layer.act_quant = self.layer.wgt_quant = lambda value, _scale: value  # quantised already
        self.layer.alpha_act = self.layer.alpha_wgt = one
        self.x = _fractions(x)

    def __call__(self) -> torch.Tensor:
        """float32 [N, O, H', W']: sums of products, exact below 2**24."""
        return self.layer(self.x)


def _fractions(codes: np.ndarray) -> torch.Tensor:
    """float32 values of which the layers' `int(127 * value)` is `codes`: it truncates, half a step keeps it right."""
    return torch.from_numpy((codes + 0.5 * np.sign(codes)).astype(np.float32) / 127)


@cache
def _layers(folder: Path) -> ModuleType:
    """The checkout's module of layers, under a package name that does not hide ours."""
    if not (folder / LAYERS).is_file():
        raise UserError(f"REF={folder}: no {LAYERS} there; give a clone of https://github.com/Bo-Liu-TUM/EncodingNet")
    package = "encodingnet_layers"
    spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder / LAYERS.parent)]
    tools = ModuleType("model_tools")  # would load torchvision for data sets
    tools.AverageMeter = Mock  # meters of activation ranges, which we give
    modules = {package: importlib.util.module_from_spec(spec), f"{package}.model_tools": tools}
    try:
        sys.modules.update(modules)
        return importlib.import_module(f"{package}.{LAYERS.stem}")
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"REF={folder}: its {LAYERS} does not load ({text}); is it EncodingNet?") from error
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    module.get_log = module.get_logger = None
    return module
