// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Simulation top: one array behind the common port list.
/// `ARRAY_CONV` selects the conventional array; otherwise `ENCODING_PKG` names the encoding.
module array_top #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int ColsPerStage = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter bit Programmable = 1'b0,
    parameter int Form = 0,
    parameter int ABits = 8,
    parameter int WBits = 8,
    parameter bit GateZeros = 1'b0,
    parameter bit Shadow = 1'b0,
    parameter bit GateWeights = 1'b0
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               position_write_i,
    input  logic [       15:0] position_index_i,
    input  logic [       31:0] position_weight_i,
    input  logic               position_clear_i,
    output logic               position_error_o,
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
  mac_array #(
`ifdef ARRAY_CONV
      .Kind        (encmac_pkg::KIND_CONV),
      .Form        (Form),
      .ABits       (ABits),
      .WBits       (WBits),
`else
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Programmable(Programmable),
      .Encoding    (`ENCODING_PKG::ENCODING),
`endif
      .Rows        (Rows),
      .Cols        (Cols),
      .ColsPerStage(ColsPerStage),
      .Shadow      (Shadow),
      .GateWeights (GateWeights),
      .GateZeros   (GateZeros)
  ) dut (
      .*
  );
endmodule
