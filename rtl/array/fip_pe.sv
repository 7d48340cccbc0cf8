// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Processing element of a fast inner product, FIP (S. Winograd, IEEE Trans. Computers C-17, 1968): two rows,
/// one multiplier with an adder before each operand,
///
///     psum_o = psum_i + (a0 + w1) * (a1 + w0)   (modulo 2^OutWidth), registered
///
/// which is a0 w0 + a1 w1 + a0 a1 + w0 w1. What is too much depends on activations alone or on weights
/// alone and is not taken off here. With WBits = 0 there is no weight: psum_o = psum_i + a0 * a1, the surplus of
/// the activations. Activations come registered.
/// Latency: 1 cycle.
module fip_pe #(
    /// Bits of the operands.
    parameter int ABits = 8,
    parameter int WBits = 8,
    parameter int InWidth = 18,
    parameter int OutWidth = 18,
    /// 1: partial products and psum in one compressor tree; 0: left to the synthesiser.
    parameter bit Tree = 1'b0,
    /// 1: `w_clk_i` runs only while weights shift, and `w_shift_i` is not looked at.
    parameter bit GateWeights = 1'b0,
    parameter int WPorts = WBits > 0 ? WBits : 1
) (
    input  logic                clk_i,
    input  logic                advance_i,  // the partial sum moves on
    input  logic [         1:0] w_clk_i,    // GateWeights: one for each row
    input  logic                w_shift_i,  // weights are taken from below
    input  logic [ 2*ABits-1:0] a_i,        // {a1, a0}
    input  logic [  WPorts-1:0] w_i,
    output logic [  WPorts-1:0] w_o,
    input  logic [ InWidth-1:0] psum_i,
    output logic [OutWidth-1:0] psum_o
);
  /// Bits of what is multiplied.
  localparam int Bits = WBits == 0 ? ABits : (ABits > WBits ? ABits : WBits) + 1;
  logic signed [Bits-1:0] x, y;
  if (WBits > 0) begin : gen_weights
    logic [WBits-1:0] w0_q, w1_q;
    assign w_o = w0_q;
    if (GateWeights) begin : gen_gated
      always_ff @(posedge w_clk_i[1]) w1_q <= w_i;
      always_ff @(posedge w_clk_i[0]) w0_q <= w1_q;
      logic unused_shift;
      assign unused_shift = w_shift_i;
    end else begin : gen_enabled
      always_ff @(posedge clk_i) begin
        if (w_shift_i) begin
          w1_q <= w_i;
          w0_q <= w1_q;
        end
      end
      logic unused_clk;
      assign unused_clk = ^w_clk_i;
    end
    assign x = Bits'($signed(a_i[0+:ABits])) + Bits'($signed(w1_q));
    assign y = Bits'($signed(a_i[ABits+:ABits])) + Bits'($signed(w0_q));
  end else begin : gen_surplus
    assign {y, x} = a_i;
    assign w_o = w_i;
    logic unused_weights;
    assign unused_weights = ^{w_clk_i, w_shift_i};
  end

  logic [OutWidth-1:0] sum, psum_q;
  assign psum_o = psum_q;
  always_ff @(posedge clk_i) begin
    if (advance_i) psum_q <= sum;
  end

  /// x_i y_j weighs 2^(i+j), negative if just one of them is the sign.
  function automatic logic [Bits*Bits*32-1:0] digits();
    int n;
    n = 0;
    digits = '0;
    for (int s = 0; s < 2 * Bits - 1; s++) begin
      for (int i = 0; i < Bits; i++) begin
        if (s - i >= 0 && s - i < Bits) begin
          digits[n*32+:32] = 32'((i * Bits + s - i) * 65536 + s);
          if ((i == Bits - 1) != (s - i == Bits - 1)) digits[n*32+15] = 1'b1;
          n = n + 1;
        end
      end
    end
  endfunction

  if (Tree) begin : gen_tree
    logic [Bits*Bits-1:0] partial;
    logic [OutWidth-1:0] row0, row1;
    for (genvar i = 0; i < Bits; i++) begin : gen_partial
      assign partial[i*Bits+:Bits] = y & {Bits{x[i]}};
    end
    position_decoder #(
        .M        (Bits * Bits),
        .NumDigits(Bits * Bits),
        .Digits   (digits()),
        .Width    (OutWidth),
        .AccRows  (1)
    ) u_tree (
        .counts_i(partial),
        .acc0_i  (OutWidth'($signed(psum_i))),
        .acc1_i  ({OutWidth{1'b0}}),
        .row0_o  (row0),
        .row1_o  (row1)
    );
    assign sum = row0 + row1;
  end else begin : gen_written
    logic signed [2*Bits-1:0] product;
    assign product = x * y;
    assign sum = OutWidth'(product) + OutWidth'($signed(psum_i));
    logic unused_product;  // the sum may be narrower
    assign unused_product = ^product;
  end
endmodule
