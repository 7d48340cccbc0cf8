// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Encoded column: y = sum over rows of sum_m s[m] * b[m], `Groups` + SumRegister cycles after the
/// activations of its first group are in their registers.
///
/// Rows are cut into groups of `RowsPerGroup`; activations of group g must come g cycles after those
/// of group 0. Within a group they are bit-sliced: bit i of row g*RowsPerGroup + r lies at
/// [(g*ABits + i)*RowsPerGroup + r]. Weights enter the last row and move up by one row a shift.
/// What an encoding adds outside the column (g(w), offset; f(a) unless `AddShared`) is not added here.
/// Latency: Rows / RowsPerGroup cycles, one more with SumRegister.
module enc_column #(
    parameter int Rows = 16,
    parameter int RowsPerGroup = Rows,
    /// 0: count every position, then apply position weights; 1: one compressor tree for all.
    parameter bit Merged = 1'b0,
    /// 1: a register between the last group and the final addition.
    parameter bit SumRegister = 1'b1,
    /// 1: position weights come from `s_i`; only with Merged = 0.
    parameter bit Programmable = 1'b0,
    /// 1: weights of the next tile shift in while this one computes.
    parameter bit Shadow = 1'b0,
    /// 1: weights that shift are clocked by `w_clk_i`, which runs only then.
    parameter bit GateWeights = 1'b0,
    /// 1: `f_i` is one more row of the final addition.
    parameter bit AddShared = 1'b0,
    /// The encoding, laid out as encmac_pkg says, and what ports need of it.
    parameter Encoding = encmac_pkg::ENC_NONE,
    parameter int ABits = Encoding[encmac_pkg::ENC_A_BITS+:32],
    parameter int WBits = Encoding[encmac_pkg::ENC_W_BITS+:32],
    parameter int M = Encoding[encmac_pkg::ENC_M+:32],
    /// Bits of the sum.
    parameter int Width = 24,
    parameter int WPorts = WBits > 0 ? WBits : 1
) (
    input  logic                               clk_i,
    input  logic                               advance_i,  // the pipeline moves on
    input  logic        [             Rows-1:0] w_clk_i,   // GateWeights: clock of each row's weight
    input  logic                               w_shift_i,  // weights move up by one row
    input  logic        [Rows/RowsPerGroup-1:0] w_swap_i,  // Shadow: group g takes its new weights
    input  logic        [           WPorts-1:0] w_i,       // weight that enters the last row
    input  logic        [       ABits*Rows-1:0] a_i,       // activations, skewed by group
    input  logic        [             M*16-1:0] s_i,       // Programmable: position weights
    input  logic        [            Width-1:0] f_i,       // AddShared: comes with the final addition
    output logic signed [            Width-1:0] y_o
);
  localparam int Groups = Rows / RowsPerGroup;
  localparam int CountWidth = $clog2(Rows + 1);
  localparam int StateWidth = Merged ? 2 * Width : M * CountWidth;
  localparam int GroupBits = ABits * RowsPerGroup;

  localparam int NumDigits = Encoding[encmac_pkg::ENC_NUM_DIGITS+:32];
  localparam int DigitsAt = Encoding[encmac_pkg::ENC_DIGITS_AT+:32];

  `ENCMAC_REQUIRE(gen_check_encoding, Encoding[encmac_pkg::ENC_FORMAT+:32] == encmac_pkg::ENC_MAGIC,
                  "enc_column: Encoding must be the ENCODING of a package that this version exported")
  `ENCMAC_REQUIRE(gen_check_rows, Rows > 0 && RowsPerGroup > 0 && Rows % RowsPerGroup == 0,
                  "enc_column: Rows must be a positive multiple of RowsPerGroup")
  `ENCMAC_REQUIRE(gen_check_programmable, !(Programmable && Merged),
                  "enc_column: programmable position weights need counts, Merged = 0")

  logic [(Groups+1)*WPorts-1:0] w_chain;
  assign w_chain[Groups*WPorts+:WPorts] = w_i;
  logic unused_w;
  assign unused_w = ^w_chain[WPorts-1:0];

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    logic [StateWidth-1:0] state_in, state_out, state;
    if (g == 0) begin : gen_first
      assign state_in = '0;
    end else begin : gen_next
      assign state_in = gen_group[g-1].state;
    end

    enc_group #(
        .Rows      (RowsPerGroup),
        .Merged    (Merged),
        .Shadow    (Shadow),
        .GateWeights(GateWeights),
        .Encoding  (Encoding),
        .CountWidth(CountWidth),
        .Width     (Width),
        .First     (g == 0),
        .ColumnRows(Rows)
    ) u_group (
        .clk_i,
        .w_clk_i (w_clk_i[g*RowsPerGroup+:RowsPerGroup]),
        .w_shift_i,
        .w_swap_i(w_swap_i[g]),
        .w_i     (w_chain[(g+1)*WPorts+:WPorts]),
        .w_o     (w_chain[g*WPorts+:WPorts]),
        .a_i     (a_i[g*GroupBits+:GroupBits]),
        .state_i (state_in),
        .state_o (state_out)
    );

    if (g + 1 < Groups || SumRegister) begin : gen_register
      always_ff @(posedge clk_i) begin
        if (advance_i) state <= state_out;
      end
    end else begin : gen_through
      assign state = state_out;
    end
  end

  if (!Programmable) begin : gen_constant
    logic unused_s;
    assign unused_s = ^s_i;
  end

  logic [Width-1:0] row0, row1;
  if (Merged) begin : gen_merged
    assign {row1, row0} = gen_group[Groups-1].state;
  end else if (Programmable) begin : gen_multiplier
    position_multiplier #(
        .M         (M),
        .CountWidth(CountWidth),
        .Width     (Width)
    ) u_multiplier (
        .counts_i (gen_group[Groups-1].state),
        .weights_i(s_i),
        .row0_o   (row0),
        .row1_o   (row1)
    );
  end else begin : gen_decoder
    position_decoder #(
        .M         (M),
        .NumDigits (NumDigits),
        .Digits    (Encoding[DigitsAt+:32*NumDigits]),
        .Lanes     (1),
        .CountWidth(CountWidth),
        .Width     (Width)
    ) u_decoder (
        .counts_i(gen_group[Groups-1].state),
        .acc0_i  ({Width{1'b0}}),
        .acc1_i  ({Width{1'b0}}),
        .row0_o  (row0),
        .row1_o  (row1)
    );
  end

  if (AddShared) begin : gen_shared
    logic [Width-1:0] sum, carry;
    full_adder #(
        .Lanes(Width)
    ) u_third (
        .x_i    (row0),
        .y_i    (row1),
        .z_i    (f_i),
        .sum_o  (sum),
        .carry_o(carry)
    );
    always_ff @(posedge clk_i) begin
      if (advance_i) y_o <= sum + (carry << 1);
    end
  end else begin : gen_alone
    always_ff @(posedge clk_i) begin
      if (advance_i) y_o <= row0 + row1;
    end
    logic unused_f;
    assign unused_f = ^f_i;
  end
endmodule
