// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// What `make synth` measures: one column that never stalls, with the operand registers that an array
/// gives it. `COLUMN_CONV` selects the conventional column; otherwise `ENCODING_PKG` names the encoding.
module column_top #(
    parameter int Rows = 64,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b1,
    parameter bit SumRegister = 1'b1,
    parameter int Form = 0
) (
    input  logic               clk_i,
    input  logic               w_shift_i,
    input  logic        [ 7:0] w_i,
    input  logic [8*Rows-1:0]  a_i,
    output logic [8*Rows-1:0]  a_o,
`ifdef COLUMN_CONV
    output logic signed [encmac_pkg::sum_width(Rows, -16256, 16384)-1:0] y_o
);
  conv_column #(
      .Rows(Rows),
      .Form(Form)
  ) u_column (
      .advance_i(1'b1),
      .*
  );
`else
    output logic signed [encmac_pkg::sum_width(Rows, `ENCODING_PKG::MIN_SUM, `ENCODING_PKG::MAX_SUM)-1:0] y_o
);
  enc_column #(
      .Rows        (Rows),
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .NumGates    (`ENCODING_PKG::NUM_GATES),
      .Gates       (`ENCODING_PKG::GATES),
      .M           (`ENCODING_PKG::M),
      .Bits        (`ENCODING_PKG::BITS),
      .NumDigits   (`ENCODING_PKG::NUM_DIGITS),
      .Digits      (`ENCODING_PKG::DIGITS),
      .AReads      (`ENCODING_PKG::A_READS),
      .WReads      (`ENCODING_PKG::W_READS),
      .MinSum      (`ENCODING_PKG::MIN_SUM),
      .MaxSum      (`ENCODING_PKG::MAX_SUM)
  ) u_column (
      .advance_i(1'b1),
      .*
  );
`endif
endmodule
