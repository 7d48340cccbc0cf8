// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// One group of rows of an encoded column: weight registers, product bits, and the column's running
/// state with this group's bits added.
///
/// State, `Merged` = 0: the M counts, cnt[m] at [m*CountWidth +: CountWidth].
/// State, `Merged` = 1: the weighted sum so far as two rows, row1 above row0.
/// The state leaves unregistered; the column registers it between groups.
/// Latency: 0 cycles from activations and state, 1 from weights.
module enc_group #(
    parameter int Rows = 4,
    parameter bit Merged = 1'b0,
    /// 1: weights shift into registers of their own and are taken over by `w_swap_i`.
    parameter bit Shadow = 1'b0,
    /// 1: weights that shift are clocked by `w_clk_i`, which runs only then.
    parameter bit GateWeights = 1'b0,
    /// The encoding, laid out as encmac_pkg says, and what ports need of it.
    parameter Encoding = encmac_pkg::ENC_NONE,
    parameter int ABits = Encoding[encmac_pkg::ENC_A_BITS+:32],
    parameter int WBits = Encoding[encmac_pkg::ENC_W_BITS+:32],
    parameter int M = Encoding[encmac_pkg::ENC_M+:32],
    parameter int CountWidth = 1,
    parameter int Width = 16,
    parameter int StateWidth = Merged ? 2 * Width : M * CountWidth,
    /// 1: the first group, which ignores `state_i`.
    parameter bit First = 1'b0,
    /// Rows whose constant the first group of a merged column adds (all rows of the column).
    parameter int ColumnRows = Rows,
    parameter int WPorts = WBits > 0 ? WBits : 1
) (
    input  logic                  clk_i,
    input  logic [      Rows-1:0] w_clk_i,    // GateWeights: clock of each row's weight
    input  logic                  w_shift_i,  // weights move up by one row
    input  logic                  w_swap_i,   // weights that were shifted in take effect
    input  logic [    WPorts-1:0] w_i,        // weight that enters the last row
    output logic [    WPorts-1:0] w_o,        // weight of the first row
    input  logic [ABits*Rows-1:0] a_i,        // activations, registered, bit-sliced
    input  logic [StateWidth-1:0] state_i,
    output logic [StateWidth-1:0] state_o
);
  localparam int NumGates = Encoding[encmac_pkg::ENC_NUM_GATES+:32];
  localparam int GatesAt = Encoding[encmac_pkg::ENC_GATES_AT+:32];
  localparam int BitsAt = Encoding[encmac_pkg::ENC_BITS_AT+:32];
  localparam int NumDigits = Encoding[encmac_pkg::ENC_NUM_DIGITS+:32];
  localparam int DigitsAt = Encoding[encmac_pkg::ENC_DIGITS_AT+:32];

  logic [(ABits+WBits)*Rows-1:0] operands;
  logic [M*Rows-1:0] product_bits;
  assign operands[ABits*Rows-1:0] = a_i;

  for (genvar i = 0; i < WBits; i++) begin : gen_weight_bit
    logic [Rows-1:0] shift_q;
    logic [Rows:0] chain;
    assign chain  = {w_i[i], shift_q};
    assign w_o[i] = chain[0];
    if (GateWeights) begin : gen_gated
      for (genvar r = 0; r < Rows; r++) begin : gen_row
        logic q;
        assign shift_q[r] = q;
        always_ff @(posedge w_clk_i[r]) q <= chain[r+1];
      end
    end else begin : gen_enabled
      always_ff @(posedge clk_i) begin
        if (w_shift_i) shift_q <= chain[Rows:1];
      end
    end
    if (Shadow) begin : gen_shadow
      logic [Rows-1:0] w_q;
      always_ff @(posedge clk_i) begin
        if (w_swap_i) w_q <= shift_q;
      end
      assign operands[(ABits+i)*Rows+:Rows] = w_q;
    end else begin : gen_direct
      assign operands[(ABits+i)*Rows+:Rows] = shift_q;
    end
  end
  if (WBits == 0) begin : gen_no_weight
    assign w_o = w_i;
  end
  if (WBits == 0 || !Shadow) begin : gen_no_swap
    logic unused_swap;
    assign unused_swap = ^{w_swap_i, w_shift_i, clk_i};
  end
  logic unused_gate;
  assign unused_gate = ^{w_clk_i, w_shift_i};

  enc_mult #(
      .Lanes   (Rows),
      .Inputs  (ABits + WBits),
      .NumGates(NumGates),
      .Gates   (Encoding[GatesAt+:32*encmac_pkg::entries(NumGates)]),
      .M       (M),
      .Bits    (Encoding[BitsAt+:16*M])
  ) u_mult (
      .in_i(operands),
      .b_o (product_bits)
  );

  if (Merged) begin : gen_merged
    position_decoder #(
        .M            (M),
        .NumDigits    (NumDigits),
        .Digits       (Encoding[DigitsAt+:32*NumDigits]),
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
