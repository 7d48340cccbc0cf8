// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// What `make synth` measures: one stage of an array that never stalls, its operand registers and the
/// encoders of its weights included. `COLUMN_CONV` selects conventional columns; otherwise
/// `ENCODING_PKG` names the encoding, and `COLUMN_SHARED` selects the extra column that sums its f(a).
/// A column of an encoding with f(a) adds what comes from there, a column of FORM_FIP* takes off what comes from
/// the extra column of its surplus, which is the one with WBits = 0.
module column_top #(
    parameter int Rows = 64,
    parameter int Cols = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b1,
    parameter bit SumRegister = 1'b1,
    parameter bit GateWeights = 1'b0,
    parameter bit GateZeros = 1'b0,
    parameter int Form = 0,
`ifdef COLUMN_CONV
    parameter int ABits = 8,
    parameter int WBits = 8,
    parameter bit AddShared = encmac_pkg::pairs(Form) && WBits > 0,
    parameter int FUnit = encmac_pkg::unit(ABits, WBits),
    parameter int Width = WBits > 0 ?
        encmac_pkg::sum_width(Rows, encmac_pkg::product_min(ABits, WBits), encmac_pkg::PRODUCT_MAX) :
        encmac_pkg::sum_width(Rows / 2, encmac_pkg::product_min(ABits, ABits) >>> encmac_pkg::unit(ABits, ABits),
                              encmac_pkg::PRODUCT_MAX >>> encmac_pkg::unit(ABits, ABits)),
`elsif COLUMN_SHARED
    parameter bit AddShared = 1'b0,
    parameter int ABits = 8,
    parameter int FUnit = 0,
    parameter int Width = encmac_pkg::sum_width(Rows, `ENCODING_PKG::F_MIN_SUM, `ENCODING_PKG::F_MAX_SUM),
`else
    parameter bit AddShared = `ENCODING_PKG::F_M > 0,
    parameter int ABits = `ENCODING_PKG::A_BITS,
    parameter int FUnit = 32'(`ENCODING_PKG::F_DIGITS[14:0]),  // the lowest power of two comes first
    parameter int Width = encmac_pkg::sum_width(Rows,
        `ENCODING_PKG::MIN_SUM + (AddShared ? `ENCODING_PKG::F_MIN_SUM : 0),
        `ENCODING_PKG::MAX_SUM + (AddShared ? `ENCODING_PKG::F_MAX_SUM : 0)),
`endif
    parameter int FBits = AddShared ? Width : 1,
    parameter int ZBits = GateZeros ? Rows : 1
) (
    input  logic                  clk_i,
    input  logic                  w_shift_i,
    input  logic [    8*Cols-1:0] w_i,
    input  logic [ABits*Rows-1:0] a_i,
    output logic [ABits*Rows-1:0] a_o,
    input  logic [     ZBits-1:0] zero_i,
    output logic [     ZBits-1:0] zero_o,
    input  logic [     FBits-1:0] f_i,
    output logic [     FBits-1:0] f_o,
    output logic [Width*Cols-1:0] y_o
);
  logic [Width-1:0] f;
  logic [Rows-1:0] zero;
  array_stage #(
`ifdef COLUMN_CONV
      .Kind        (encmac_pkg::KIND_CONV),
      .Form        (Form),
      .ABits       (ABits),
      .WBits       (WBits),
`elsif COLUMN_SHARED
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Encoding    (`ENCODING_PKG::EXTRA),
`else
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Encoding    (`ENCODING_PKG::ENCODING),
`endif
      .AddShared   (AddShared),
      .GateWeights (GateWeights),
      .GateZeros   (GateZeros),
      .Rows        (Rows),
      .Cols        (Cols),
      .Width       (Width)
  ) u_stage (
      .advance_i(1'b1),
      .w_swap_i ('0),
      .w_swap_o (),
      .s_i      ('0),
      .f_i      (Width'(f_i) >> FUnit << FUnit),  // an f(a) has no lower bits
      .f_o      (f),
      .zero_i   (Rows'(zero_i)),
      .zero_o   (zero),
      .*
  );
  assign f_o = f[FBits-1:0];
  assign zero_o = zero[ZBits-1:0];
endmodule
