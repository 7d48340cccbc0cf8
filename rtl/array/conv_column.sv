// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Conventional column: `Rows` processing elements, partial sums that grow down the column just as
/// wide as they must; `Rows` cycles (one more with FORM_CARRY_SAVE) from the registers of row 0's
/// activation to the sum. Activations of row r must come r cycles after those of row 0; row r lies at
/// [r*8 +: 8]. Weights enter the last row and move up by one row a shift.
/// Latency: Rows cycles, one more with FORM_CARRY_SAVE.
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
  localparam bit CarrySave = Form == encmac_pkg::FORM_CARRY_SAVE;

  `ENCMAC_REQUIRE(gen_check_form, Rows > 0 && Form >= 0 && Form <= encmac_pkg::FORM_CARRY_SAVE,
                  "conv_column: Rows must be positive and Form one of encmac_pkg::FORM_*")

  /// Carry-save rows are sums modulo a power of two: they cannot be sign-extended on the way.
  function automatic int psum_width(int rows);
    psum_width = CarrySave ? Width : encmac_pkg::sum_width(rows, -16256, 16384);
  endfunction

  logic [(Rows+1)*8-1:0] w_chain;
  assign w_chain[Rows*8+:8] = w_i;
  logic unused_w;
  assign unused_w = ^w_chain[7:0];

  for (genvar r = 0; r < Rows; r++) begin : gen_row
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
        .w_i     (w_chain[(r+1)*8+:8]),
        .w_o     (w_chain[r*8+:8]),
        .psum0_i(in0),
        .psum1_i(in1),
        .psum0_o(out0),
        .psum1_o(out1)
    );
  end

  if (CarrySave) begin : gen_foot
    always_ff @(posedge clk_i) begin
      if (advance_i) y_o <= gen_row[Rows-1].out0 + gen_row[Rows-1].out1;
    end
  end else begin : gen_through
    assign y_o = gen_row[Rows-1].out0;
    logic unused_out;
    assign unused_out = ^gen_row[Rows-1].out1;
  end
endmodule
