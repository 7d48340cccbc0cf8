// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_encoding.svh"

/// What `make synth` measures: one stage of an array that never stalls, its operand registers and the
/// encoders of its weights included. `COLUMN_CONV` selects conventional columns; otherwise
/// `ENCODING_PKG` names the encoding.
module column_top #(
    parameter int Rows = 64,
    parameter int Cols = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b1,
    parameter bit SumRegister = 1'b1,
    parameter int Form = 0,
`ifdef COLUMN_CONV
    parameter int ABits = 8,
    parameter int Width = encmac_pkg::sum_width(Rows, -16256, 16384)
`else
    parameter int ABits = `ENCODING_PKG::A_BITS,
    parameter int Width = encmac_pkg::sum_width(Rows, `ENCODING_PKG::MIN_SUM, `ENCODING_PKG::MAX_SUM)
`endif
) (
    input  logic                  clk_i,
    input  logic                  w_shift_i,
    input  logic [    8*Cols-1:0] w_i,
    input  logic [ABits*Rows-1:0] a_i,
    output logic [ABits*Rows-1:0] a_o,
    output logic [Width*Cols-1:0] y_o
);
  array_stage #(
`ifdef COLUMN_CONV
      .Kind        (encmac_pkg::KIND_CONV),
      .Form        (Form),
`else
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      `ENCMAC_STAGE_OF(`ENCODING_PKG),
`endif
      .Rows        (Rows),
      .Cols        (Cols)
  ) u_stage (
      .advance_i(1'b1),
      .w_swap_i ('0),
      .w_swap_o (),
      .s_i      ('0),
      .*
  );
endmodule
