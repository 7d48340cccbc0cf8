// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// What `make synth ARRAY=` measures: an array whose results are always taken, so that nothing in it ever
/// stalls. `COLUMN_CONV` selects the conventional array; otherwise `ENCODING_PKG` names the encoding.
module array_top #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b1,
    parameter bit SumRegister = 1'b1,
    parameter bit GateWeights = 1'b0,
    parameter int Form = 0,
    parameter int ABits = 8,
    parameter int WBits = 8,
    parameter bit GateZeros = 1'b0
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
    output logic               m_axis_y_tlast
);
  mac_array #(
`ifdef COLUMN_CONV
      .Kind        (encmac_pkg::KIND_CONV),
      .Form        (Form),
      .ABits       (ABits),
      .WBits       (WBits),
`else
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Encoding    (`ENCODING_PKG::ENCODING),
`endif
      .GateWeights (GateWeights),
      .GateZeros   (GateZeros),
      .Rows        (Rows),
      .Cols        (Cols)
  ) u_array (
      .position_write_i (1'b0),
      .position_index_i ('0),
      .position_weight_i('0),
      .position_clear_i (1'b0),
      .position_error_o (),
      .m_axis_y_tready  (1'b1),
      .*
  );
endmodule
