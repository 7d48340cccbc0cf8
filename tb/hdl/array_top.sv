// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Simulation top: one array behind the common port list.
/// `ARRAY_CONV` selects the conventional array; otherwise `ENCODING_PKG` names the encoding.
module array_top #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter int Form = 0
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic [ Cols*8-1:0] s_axis_w_tdata,
    input  logic               s_axis_w_tvalid,
    output logic               s_axis_w_tready,
    input  logic               s_axis_w_tlast,
    input  logic [ Rows*8-1:0] s_axis_a_tdata,
    input  logic               s_axis_a_tvalid,
    output logic               s_axis_a_tready,
    input  logic               s_axis_a_tlast,
    output logic [Cols*32-1:0] m_axis_y_tdata,
    output logic               m_axis_y_tvalid,
    input  logic               m_axis_y_tready,
    output logic               m_axis_y_tlast
);
`ifdef ARRAY_CONV
  conv_array #(
      .Rows(Rows),
      .Cols(Cols),
      .Form(Form)
  ) dut (
      .*
  );
`else
  enc_array #(
      .Rows        (Rows),
      .Cols        (Cols),
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
  ) dut (
      .*
  );
`endif
endmodule
