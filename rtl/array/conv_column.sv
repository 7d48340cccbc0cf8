// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Conventional column: `Rows` processing elements, partial sums that grow down the column just as
/// wide as they must. Activations of row r must come r cycles after those of row 0; row r lies at
/// [r*8 +: 8]. Weights enter the last row and move up by one row a shift.
///
/// FORM_FFIP and FORM_FFIP_TREE (Rows even, no Shadow): an element has rows 2k and 2k+1, which come k cycles
/// after the first two, and the sum is sum_r a_r w_r + sum_k (a_2k a_2k+1 + w_2k w_2k+1) modulo 2^Width: the
/// surplus of the activations is the same for all columns, that of the weights a constant of a tile.
/// Latency: Rows cycles, one more with FORM_CARRY_SAVE and FORM_OPT; Rows / 2 with FORM_FFIP*.
module conv_column #(
    parameter int Rows = 16,
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    /// 1: weights of the next tile shift in while this one computes.
    parameter bit Shadow = 1'b0,
    /// 1: weight registers are clocked by `w_clk_i`, which runs only while weights shift.
    parameter bit GateWeights = 1'b0,
    parameter int Width = encmac_pkg::sum_width(Rows, -16256, 16384)
) (
    input  logic                    clk_i,
    input  logic                    advance_i,  // the pipeline moves on
    input  logic        [ Rows-1:0] w_clk_i,    // GateWeights: clock of each row's weight
    input  logic                    w_shift_i,  // weights move up by one row
    input  logic        [ Rows-1:0] w_swap_i,   // Shadow: row r takes its new weight
    input  logic        [      7:0] w_i,        // weight that enters the last row
    input  logic        [8*Rows-1:0] a_i,       // activations, registered, skewed by row
    output logic signed [Width-1:0] y_o
);
  localparam bit CarrySave = Form == encmac_pkg::FORM_CARRY_SAVE || Form == encmac_pkg::FORM_OPT;
  localparam bit Recoded = Form == encmac_pkg::FORM_RECODED || Form == encmac_pkg::FORM_OPT;
  localparam bit Pairs = Form == encmac_pkg::FORM_FFIP || Form == encmac_pkg::FORM_FFIP_TREE;
  localparam int WBits = Recoded ? 12 : 8;
  localparam int Elements = Pairs ? Rows / 2 : Rows;

  `ENCMAC_REQUIRE(gen_check_form, Rows > 0 && Form >= 0 && Form <= encmac_pkg::FORM_FFIP_TREE,
                  "conv_column: Rows must be positive and Form one of encmac_pkg::FORM_*")
  `ENCMAC_REQUIRE(gen_check_pairs, !Pairs || (Rows % 2 == 0 && !Shadow),
                  "conv_column: FORM_FFIP needs an even number of Rows and no Shadow")

  /// Carry-save rows are sums modulo a power of two: they cannot be sign-extended on the way.
  function automatic int psum_width(int elements);
    psum_width = Pairs ? encmac_pkg::sum_width(elements, -65024, 65536) : encmac_pkg::sum_width(elements, -16256, 16384);
    if (CarrySave || psum_width > Width) psum_width = Width;
  endfunction

  logic [(Elements+1)*WBits-1:0] w_chain;
  logic unused_w;
  assign unused_w = ^w_chain[WBits-1:0];
  if (Recoded) begin : gen_recoder
    booth_recoder u_recoder (
        .w_i,
        .digits_o(w_chain[Elements*WBits+:WBits])
    );
  end else begin : gen_no_recoder
    assign w_chain[Elements*WBits+:WBits] = w_i;
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
      ffip_pe #(
          .InWidth (InWidth),
          .OutWidth(OutWidth),
          .Tree    (Form == encmac_pkg::FORM_FFIP_TREE),
          .GateWeights(GateWeights)
      ) u_pe (
          .clk_i,
          .advance_i,
          .w_clk_i(w_clk_i[2*r+:2]),
          .w_shift_i,
          .a_i   (a_i[r*16+:16]),
          .w_i   (w_chain[(r+1)*WBits+:WBits]),
          .w_o   (w_chain[r*WBits+:WBits]),
          .psum_i(in0),
          .psum_o(out0)
      );
      assign out1 = '0;
      logic unused_in;
      assign unused_in = ^{in1, w_swap_i[2*r+:2]};
    end else begin : gen_single
      conv_pe #(
          .Form    (Form),
          .InWidth (InWidth),
          .OutWidth(OutWidth),
          .Shadow  (Shadow),
          .GateWeights(GateWeights)
      ) u_pe (
          .clk_i,
          .advance_i,
          .w_clk_i (w_clk_i[r]),
          .w_shift_i,
          .w_swap_i(w_swap_i[r]),
          .a_i     (a_i[r*8+:8]),
          .w_i     (w_chain[(r+1)*WBits+:WBits]),
          .w_o     (w_chain[r*WBits+:WBits]),
          .psum0_i(in0),
          .psum1_i(in1),
          .psum0_o(out0),
          .psum1_o(out1)
      );
    end
  end

  if (CarrySave) begin : gen_foot
    always_ff @(posedge clk_i) begin
      if (advance_i) y_o <= gen_row[Elements-1].out0 + gen_row[Elements-1].out1;
    end
  end else begin : gen_through
    assign y_o = gen_row[Elements-1].out0;
    logic unused_out;
    assign unused_out = ^gen_row[Elements-1].out1;
  end
endmodule
