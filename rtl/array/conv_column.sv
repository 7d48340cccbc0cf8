// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Conventional column: `Rows` processing elements, partial sums that grow down the column just as
/// wide as they must. Activations of row r must come r cycles after those of row 0; row r lies at
/// [r*ABits +: ABits]. Weights enter the last row and move up by one row a shift.
///
/// Operands have ABits and WBits bits, the upper ones of 8: sums are those of 8-bit operands whose lower bits
/// are 0.
///
/// FORM_FIP and FORM_FIP_TREE (Rows even, no Shadow): an element has rows 2k and 2k+1, which come k cycles
/// after the first two. In units of the operands' last bits, the sum is sum_r a_r w_r + sum_k w_2k w_2k+1, a
/// constant of a tile more, modulo 2^Width: the surplus of the activations, sum_k a_2k a_2k+1, is the same for all
/// columns and comes as `f_i`, a cycle before the sum. WBits = 0: the extra column that sums it, in its own units.
/// Latency: Rows cycles, one more with FORM_CARRY_SAVE and FORM_OPT1; with FORM_FIP* Rows / 2, one more with weights.
module conv_column #(
    parameter int Rows = 16,
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    parameter int ABits = 8,
    parameter int WBits = 8,
    /// 1: weights of the next tile shift in while this one computes.
    parameter bit Shadow = 1'b0,
    /// 1: weight registers are clocked by `w_clk_i`, which runs only while weights shift.
    parameter bit GateWeights = 1'b0,
    /// 1: activations hold what they were while they are 0, and `zero_i` says so; not FORM_FIP*.
    parameter bit GateZeros = 1'b0,
    parameter int Width = encmac_pkg::sum_width(Rows, encmac_pkg::product_min(ABits, WBits),
                                                encmac_pkg::PRODUCT_MAX),
    parameter int WPorts = WBits > 0 ? WBits : 1
) (
    input  logic                      clk_i,
    input  logic                      advance_i,  // the pipeline moves on
    input  logic        [   Rows-1:0] w_clk_i,    // GateWeights: clock of each row's weight
    input  logic                      w_shift_i,  // weights move up by one row
    input  logic        [   Rows-1:0] w_swap_i,   // Shadow: row r takes its new weight
    input  logic        [ WPorts-1:0] w_i,        // weight that enters the last row
    input  logic        [ABits*Rows-1:0] a_i,     // activations, registered, skewed by row
    input  logic        [   Rows-1:0] zero_i,     // GateZeros: which of them are 0
    input  logic        [  Width-1:0] f_i,        // FORM_FIP*: surplus of the activations
    output logic signed [  Width-1:0] y_o
);
  localparam bit CarrySave = encmac_pkg::two_rows(Form);
  localparam bit Pairs = encmac_pkg::pairs(Form);
  localparam bit Surplus = WBits == 0;
  localparam int Stored = Surplus ? 1 : encmac_pkg::stored_bits(Form, WBits);
  localparam int Elements = Pairs ? Rows / 2 : Rows;
  /// A sum counts units of 2^Unit.
  localparam int Unit = Surplus ? 0 : encmac_pkg::unit(ABits, WBits);
  localparam int Narrow = Width - Unit;

  `ENCMAC_REQUIRE(gen_check_form, Rows > 0 && Form >= 0 && Form <= encmac_pkg::FORM_FIP_TREE,
                  "conv_column: Rows must be positive and Form one of encmac_pkg::FORM_*")
  `ENCMAC_REQUIRE(gen_check_pairs, !Pairs || (Rows % 2 == 0 && !Shadow && !GateZeros),
                  "conv_column: FORM_FIP needs an even number of Rows, no Shadow and no GateZeros")
  `ENCMAC_REQUIRE(gen_check_bits, ABits >= 2 && ABits <= 8 && (Surplus ? Pairs : WBits >= 2 && WBits <= 8),
                  "conv_column: ABits and WBits must be 2 to 8, WBits of FORM_FIP* may be 0")

  /// Carry-save rows are sums modulo a power of two: they cannot be sign-extended on the way.
  function automatic int psum_width(int elements);
    int half;  // a sum of an activation and a weight is -half .. half - 2
    half = (1 << (ABits - 1)) + (1 << (WBits - 1));
    if (Surplus) begin
      psum_width = encmac_pkg::sum_width(elements, encmac_pkg::product_min(ABits, ABits) >>> encmac_pkg::unit(ABits, ABits),
                                         encmac_pkg::PRODUCT_MAX >>> encmac_pkg::unit(ABits, ABits));
    end else if (Pairs) begin
      psum_width = encmac_pkg::sum_width(elements, -half * (half - 2), half * half);
    end else begin
      psum_width = encmac_pkg::sum_width(elements, encmac_pkg::product_min(ABits, WBits) >>> Unit,
                                         encmac_pkg::PRODUCT_MAX >>> Unit);
    end
    if (CarrySave || psum_width > Narrow) psum_width = Narrow;
  endfunction

  logic [(Elements+1)*Stored-1:0] w_chain;
  logic unused_w;
  assign unused_w = ^w_chain[Stored-1:0];
  if (encmac_pkg::recoded(Form)) begin : gen_recoder
    booth_recoder #(
        .WBits(WBits)
    ) u_recoder (
        .w_i,
        .digits_o(w_chain[Elements*Stored+:Stored])
    );
  end else begin : gen_no_recoder
    assign w_chain[Elements*Stored+:Stored] = w_i;
  end

  for (genvar r = 0; r < Elements; r++) begin : gen_row
    localparam int InWidth = psum_width(r > 0 ? r : 1);
    localparam int OutWidth = psum_width(r + 1);
    logic [InWidth-1:0] in0, in1;
    logic [OutWidth-1:0] out0, out1;
    if (r == 0) begin : gen_first
      assign in0 = '0;
      assign in1 = '0;
    end else begin : gen_next
      assign in0 = gen_row[r-1].out0;
      assign in1 = gen_row[r-1].out1;
    end
    if (Pairs) begin : gen_pair
      fip_pe #(
          .ABits   (ABits),
          .WBits   (WBits),
          .InWidth (InWidth),
          .OutWidth(OutWidth),
          .Tree    (Form == encmac_pkg::FORM_FIP_TREE),
          .GateWeights(GateWeights)
      ) u_pe (
          .clk_i,
          .advance_i,
          .w_clk_i(w_clk_i[2*r+:2]),
          .w_shift_i,
          .a_i   (a_i[r*2*ABits+:2*ABits]),
          .w_i   (w_chain[(r+1)*Stored+:Stored]),
          .w_o   (w_chain[r*Stored+:Stored]),
          .psum_i(in0),
          .psum_o(out0)
      );
      assign out1 = '0;
      logic unused_in;
      assign unused_in = ^{in1, w_swap_i[2*r+:2], zero_i[2*r+:2]};
    end else begin : gen_single
      conv_pe #(
          .Form    (Form),
          .ABits   (ABits),
          .WBits   (WBits),
          .InWidth (InWidth),
          .OutWidth(OutWidth),
          .Shadow  (Shadow),
          .GateWeights(GateWeights),
          .GateZeros(GateZeros)
      ) u_pe (
          .clk_i,
          .advance_i,
          .w_clk_i (w_clk_i[r]),
          .w_shift_i,
          .w_swap_i(w_swap_i[r]),
          .a_i     (a_i[r*ABits+:ABits]),
          .zero_i  (zero_i[r]),
          .w_i     (w_chain[(r+1)*Stored+:Stored]),
          .w_o     (w_chain[r*Stored+:Stored]),
          .psum0_i(in0),
          .psum1_i(in1),
          .psum0_o(out0),
          .psum1_o(out1)
      );
    end
  end

  logic signed [Narrow-1:0] sum;
  assign y_o = Width'(sum) <<< Unit;
  if (CarrySave) begin : gen_foot
    always_ff @(posedge clk_i) begin
      if (advance_i) sum <= gen_row[Elements-1].out0 + gen_row[Elements-1].out1;
    end
  end else if (Pairs && !Surplus) begin : gen_surplus
    always_ff @(posedge clk_i) begin
      if (advance_i) sum <= gen_row[Elements-1].out0 - f_i[Width-1:Unit];
    end
    logic unused_out;
    assign unused_out = ^gen_row[Elements-1].out1;
  end else begin : gen_through
    assign sum = gen_row[Elements-1].out0;
    logic unused_out;
    assign unused_out = ^gen_row[Elements-1].out1;
  end
  logic unused_f;
  assign unused_f = ^f_i;
endmodule
