// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// enc_column of the encoding `ENCODING_PKG`, for the proofs of flows/formal.
module enc_column_dut #(
    parameter int Rows = 16,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter bit Shadow = 1'b0,
    parameter int ABits = `ENCODING_PKG::A_BITS,
    parameter int WBits = `ENCODING_PKG::W_BITS,
    parameter int Width = encmac_pkg::sum_width(Rows, `ENCODING_PKG::MIN_SUM, `ENCODING_PKG::MAX_SUM),
    parameter int WPorts = WBits > 0 ? WBits : 1
) (
    input  logic                        clk_i,
    input  logic                        advance_i,
    input  logic                        w_shift_i,
    input  logic [Rows/RowsPerGroup-1:0] w_swap_i,
    input  logic [          WPorts-1:0] w_i,
    input  logic [      ABits*Rows-1:0] a_i,
    output logic signed [      Width-1:0] y_o
);
  enc_column #(
      .Rows        (Rows),
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Shadow      (Shadow),
      .Encoding    (`ENCODING_PKG::ENCODING),
      .Width       (Width)
  ) u_column (
      .clk_i,
      .advance_i,
      .w_clk_i  ('0),
      .w_shift_i,
      .w_swap_i,
      .w_i,
      .s_i      ('0),
      .f_i      ('0),
      .a_i,
      .y_o
  );
endmodule
