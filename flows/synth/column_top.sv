// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_encoding.svh"

/// What `make synth` measures: one stage of an array that never stalls, its operand registers and the
/// encoders of its weights included. `COLUMN_CONV` selects conventional columns; otherwise
/// `ENCODING_PKG` names the encoding, and `COLUMN_SHARED` selects the extra column that sums its f(a).
/// A column of an encoding with f(a) adds what comes from there.
module column_top #(
    parameter int Rows = 64,
    parameter int Cols = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b1,
    parameter bit SumRegister = 1'b1,
    parameter bit GateWeights = 1'b0,
    parameter int Form = 0,
`ifdef COLUMN_CONV
    parameter int ABits = 8,
    parameter int FBits = 1,
    parameter int Width = encmac_pkg::sum_width(Rows, -16256, 16384)
`elsif COLUMN_SHARED
    parameter int ABits = 8,
    parameter int FBits = 1,
    parameter int Width = encmac_pkg::sum_width(Rows, `ENCODING_PKG::F_MIN_SUM, `ENCODING_PKG::F_MAX_SUM)
`else
    parameter bit AddShared = `ENCODING_PKG::F_M > 0,
    parameter int ABits = `ENCODING_PKG::A_BITS,
    parameter int Width = encmac_pkg::sum_width(Rows,
        `ENCODING_PKG::MIN_SUM + (AddShared ? `ENCODING_PKG::F_MIN_SUM : 0),
        `ENCODING_PKG::MAX_SUM + (AddShared ? `ENCODING_PKG::F_MAX_SUM : 0)),
    parameter int FBits = AddShared ? Width : 1
`endif
) (
    input  logic                  clk_i,
    input  logic                  w_shift_i,
    input  logic [    8*Cols-1:0] w_i,
    input  logic [ABits*Rows-1:0] a_i,
    output logic [ABits*Rows-1:0] a_o,
    input  logic [     FBits-1:0] f_i,
    output logic [     FBits-1:0] f_o,
    output logic [Width*Cols-1:0] y_o
);
  logic [Width-1:0] f;
  array_stage #(
`ifdef COLUMN_CONV
      .Kind        (encmac_pkg::KIND_CONV),
      .Form        (Form),
`elsif COLUMN_SHARED
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .ABits       (8),
      .WBits       (0),
      .NumGates    (`ENCODING_PKG::F_NUM_GATES),
      .Gates       (`ENCODING_PKG::F_GATES),
      .M           (`ENCODING_PKG::F_M),
      .Bits        (`ENCODING_PKG::F_BITS),
      .NumDigits   (`ENCODING_PKG::F_NUM_DIGITS),
      .Digits      (`ENCODING_PKG::F_DIGITS),
`else
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .AddShared   (AddShared),
      `ENCMAC_STAGE_OF(`ENCODING_PKG),
`endif
      .GateWeights (GateWeights),
      .Rows        (Rows),
      .Cols        (Cols),
      .Width       (Width)
  ) u_stage (
      .advance_i(1'b1),
      .w_swap_i ('0),
      .w_swap_o (),
      .s_i      ('0),
      .f_i      (Width'(f_i)),
      .f_o      (f),
      .*
  );
  assign f_o = f[FBits-1:0];
endmodule
