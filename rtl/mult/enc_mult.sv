// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Gates of an encoding for `Lanes` pairs of operands side by side, and nothing else: product bits from
/// the operand bits that a row holds, or those from the operands (see models/encoding.py).
///
/// All is bit-sliced: bit i of all lanes lies at [i*Lanes +: Lanes]. Wires 0 .. Inputs-1 are the inputs,
/// wire Inputs + g is the output of gate g. Combinational. It does not weight, count or register anything.
module enc_mult #(
    /// Operand pairs.
    parameter int Lanes = 1,
    /// Input bits of a lane.
    parameter int Inputs = 16,
    /// Gates and, per gate, its type and two wires.
    parameter int NumGates = 1,
    parameter logic [(NumGates > 0 ? NumGates : 1)*32-1:0] Gates = '0,
    /// Output bits and the wire of each.
    parameter int M = 1,
    parameter logic [M*16-1:0] Bits = '0
) (
    input  logic [Inputs*Lanes-1:0] in_i,
    output logic [     M*Lanes-1:0] b_o
);
  for (genvar i = 0; i < Inputs + NumGates; i++) begin : gen_wire
    logic [Lanes-1:0] y;
    if (i < Inputs) begin : gen_input
      assign y = in_i[i*Lanes+:Lanes];
    end else begin : gen_gate
      localparam logic [31:0] Gate = Gates[(i-Inputs)*32+:32];
      localparam logic [3:0] Op = Gate[31:28];
      localparam int X = 32'(Gate[27:14]);
      localparam int Y = 32'(Gate[13:0]);
      if (Op == encmac_pkg::GATE_AND) begin : gen_and
        assign y = gen_wire[X].y & gen_wire[Y].y;
      end else if (Op == encmac_pkg::GATE_OR) begin : gen_or
        assign y = gen_wire[X].y | gen_wire[Y].y;
      end else if (Op == encmac_pkg::GATE_XOR) begin : gen_xor
        assign y = gen_wire[X].y ^ gen_wire[Y].y;
      end else if (Op == encmac_pkg::GATE_NAND) begin : gen_nand
        assign y = ~(gen_wire[X].y & gen_wire[Y].y);
      end else if (Op == encmac_pkg::GATE_NOR) begin : gen_nor
        assign y = ~(gen_wire[X].y | gen_wire[Y].y);
      end else if (Op == encmac_pkg::GATE_XNOR) begin : gen_xnor
        assign y = ~(gen_wire[X].y ^ gen_wire[Y].y);
      end else if (Op == encmac_pkg::GATE_ANDNOT) begin : gen_andnot
        assign y = gen_wire[X].y & ~gen_wire[Y].y;
      end else if (Op == encmac_pkg::GATE_ORNOT) begin : gen_ornot
        assign y = gen_wire[X].y | ~gen_wire[Y].y;
      end else if (Op == encmac_pkg::GATE_NOT) begin : gen_not
        assign y = ~gen_wire[X].y;
      end else if (Op == encmac_pkg::GATE_BUF) begin : gen_buf
        assign y = gen_wire[X].y;
      end else begin : gen_illegal
        `ENCMAC_REQUIRE(gen_check_type, 0, "enc_mult: illegal gate type")
      end
    end
  end

  for (genvar m = 0; m < M; m++) begin : gen_bit
    localparam int Wire = 32'(Bits[m*16+:16]);
    assign b_o[m*Lanes+:Lanes] = gen_wire[Wire].y;
  end
endmodule
