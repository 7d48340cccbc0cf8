// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// One group of rows of an encoded column: operand registers, product bits, and the column's running
/// state with this group's bits added.
///
/// State, `Merged` = 0: the M counts, cnt[m] at [m*CountWidth +: CountWidth].
/// State, `Merged` = 1: the weighted sum so far as two rows, row1 above row0.
/// The state leaves unregistered; the column registers it between groups.
module enc_group #(
    parameter int Rows = 4,
    parameter bit Merged = 1'b0,
    parameter int NumGates = 1,
    parameter logic [(NumGates > 0 ? NumGates : 1)*32-1:0] Gates = '0,
    parameter int M = 1,
    parameter logic [M*16-1:0] Bits = '0,
    parameter int NumDigits = 1,
    parameter logic [NumDigits*32-1:0] Digits = '0,
    /// Operand bits that are registered; the others read as 0.
    parameter logic [7:0] AReads = '1,
    parameter logic [7:0] WReads = '1,
    parameter int CountWidth = 1,
    parameter int Width = 16,
    parameter int StateWidth = Merged ? 2 * Width : M * CountWidth,
    /// 1: the first group, which ignores `state_i`.
    parameter bit First = 1'b0,
    /// Rows whose constant the first group of a merged column adds (all rows of the column).
    parameter int ColumnRows = Rows
) (
    input  logic                  clk_i,
    input  logic                  advance_i,  // activations move on
    input  logic                  w_shift_i,  // weights move up by one row
    input  logic [           7:0] w_i,        // weight that enters the last row
    output logic [           7:0] w_o,        // weight of the first row
    input  logic [    8*Rows-1:0] a_i,        // activations, bit-sliced
    output logic [    8*Rows-1:0] a_o,        // the same, registered
    input  logic [StateWidth-1:0] state_i,
    output logic [StateWidth-1:0] state_o
);
  logic [8*Rows-1:0] a_q, w_q;
  logic [M*Rows-1:0] product_bits;

  for (genvar i = 0; i < 8; i++) begin : gen_operand_bit
    if (AReads[i]) begin : gen_a
      always_ff @(posedge clk_i) begin
        if (advance_i) a_q[i*Rows+:Rows] <= a_i[i*Rows+:Rows];
      end
    end else begin : gen_no_a
      logic unused_a;
      assign unused_a = ^a_i[i*Rows+:Rows];
      assign a_q[i*Rows+:Rows] = '0;
    end
    if (WReads[i]) begin : gen_w
      logic [Rows:0] chain;
      assign chain  = {w_i[i], w_q[i*Rows+:Rows]};
      assign w_o[i] = chain[0];
      always_ff @(posedge clk_i) begin
        if (w_shift_i) w_q[i*Rows+:Rows] <= chain[Rows:1];
      end
    end else begin : gen_no_w
      logic unused_w;
      assign unused_w = w_i[i];
      assign w_q[i*Rows+:Rows] = '0;
      assign w_o[i] = 1'b0;
    end
  end
  assign a_o = a_q;

  enc_mult #(
      .Lanes   (Rows),
      .NumGates(NumGates),
      .Gates   (Gates),
      .M       (M),
      .Bits    (Bits)
  ) u_mult (
      .a_i(a_q),
      .w_i(w_q),
      .b_o(product_bits)
  );

  if (Merged) begin : gen_merged
    position_decoder #(
        .M            (M),
        .NumDigits    (NumDigits),
        .Digits       (Digits),
        .Lanes        (Rows),
        .CountWidth   (1),
        .Width        (Width),
        .AccRows      (First ? 0 : 2),
        .ConstantLanes(First ? ColumnRows : 0)
    ) u_decoder (
        .counts_i(product_bits),
        .acc0_i  (state_i[0+:Width]),
        .acc1_i  (state_i[Width+:Width]),
        .row0_o  (state_o[0+:Width]),
        .row1_o  (state_o[Width+:Width])
    );
  end else begin : gen_counts
    for (genvar m = 0; m < M; m++) begin : gen_counter
      bit_counter #(
          .Rows      (Rows),
          .CountWidth(CountWidth),
          .Accumulate(!First)
      ) u_counter (
          .bits_i (product_bits[m*Rows+:Rows]),
          .count_i(state_i[m*CountWidth+:CountWidth]),
          .count_o(state_o[m*CountWidth+:CountWidth])
      );
    end
  end
endmodule
