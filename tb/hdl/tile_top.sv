// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Simulation top: a tile engine and the array that `array_top` chooses. The engine's registers do not
/// reach the array: position weights of a programmable one are written at its own pins.
module tile_top #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int Depth = 256,
    parameter int ColsPerStage = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter bit Programmable = 1'b0,
    parameter int Form = 0,
    parameter bit Shadow = 1'b0
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               position_write_i,
    input  logic [       15:0] position_index_i,
    input  logic [       31:0] position_weight_i,
    input  logic               position_clear_i,
    output logic               position_error_o,
    input  logic [        7:0] s_axil_awaddr,
    input  logic               s_axil_awvalid,
    output logic               s_axil_awready,
    input  logic [       31:0] s_axil_wdata,
    input  logic [        3:0] s_axil_wstrb,
    input  logic               s_axil_wvalid,
    output logic               s_axil_wready,
    output logic [        1:0] s_axil_bresp,
    output logic               s_axil_bvalid,
    input  logic               s_axil_bready,
    input  logic [        7:0] s_axil_araddr,
    input  logic               s_axil_arvalid,
    output logic               s_axil_arready,
    output logic [       31:0] s_axil_rdata,
    output logic [        1:0] s_axil_rresp,
    output logic               s_axil_rvalid,
    input  logic               s_axil_rready,
    input  logic [ Cols*8-1:0] s_axis_w_tdata,
    input  logic               s_axis_w_tvalid,
    output logic               s_axis_w_tready,
    input  logic               s_axis_w_tlast,
    input  logic [ Rows*8-1:0] s_axis_a_tdata,
    input  logic               s_axis_a_tvalid,
    output logic               s_axis_a_tready,
    input  logic               s_axis_a_tlast,
    input  logic [      127:0] s_axis_p_tdata,
    input  logic               s_axis_p_tvalid,
    output logic               s_axis_p_tready,
    input  logic               s_axis_p_tlast,
    output logic [Cols*32-1:0] m_axis_y_tdata,
    output logic               m_axis_y_tvalid,
    input  logic               m_axis_y_tready,
    output logic               m_axis_y_tlast
);
  logic [ Cols*8-1:0] array_w_tdata;
  logic [ Rows*8-1:0] array_a_tdata;
  logic [Cols*32-1:0] array_y_tdata;
  logic array_rst_n, array_w_tvalid, array_w_tready, array_w_tlast;
  logic array_a_tvalid, array_a_tready, array_a_tlast;
  logic array_y_tvalid, array_y_tready, array_y_tlast;

  tile_engine #(
      .Rows (Rows),
      .Cols (Cols),
      .Depth(Depth)
  ) dut (
      .array_rst_no         (array_rst_n),
      .m_axis_array_w_tdata (array_w_tdata),
      .m_axis_array_w_tvalid(array_w_tvalid),
      .m_axis_array_w_tready(array_w_tready),
      .m_axis_array_w_tlast (array_w_tlast),
      .m_axis_array_a_tdata (array_a_tdata),
      .m_axis_array_a_tvalid(array_a_tvalid),
      .m_axis_array_a_tready(array_a_tready),
      .m_axis_array_a_tlast (array_a_tlast),
      .s_axis_array_y_tdata (array_y_tdata),
      .s_axis_array_y_tvalid(array_y_tvalid),
      .s_axis_array_y_tready(array_y_tready),
      .s_axis_array_y_tlast (array_y_tlast),
      .*
  );

  // The one place where the array is: any module with these three streams.
  array_top #(
      .Rows        (Rows),
      .Cols        (Cols),
      .ColsPerStage(ColsPerStage),
      .RowsPerGroup(RowsPerGroup),
      .Merged      (Merged),
      .SumRegister (SumRegister),
      .Programmable(Programmable),
      .Form        (Form),
      .Shadow      (Shadow)
  ) u_array (
      .clk_i,
      .rst_ni           (array_rst_n),
      .position_write_i,
      .position_index_i,
      .position_weight_i,
      .position_clear_i,
      .position_error_o,
      .s_axis_w_tdata (array_w_tdata),
      .s_axis_w_tvalid(array_w_tvalid),
      .s_axis_w_tready(array_w_tready),
      .s_axis_w_tlast (array_w_tlast),
      .s_axis_a_tdata (array_a_tdata),
      .s_axis_a_tvalid(array_a_tvalid),
      .s_axis_a_tready(array_a_tready),
      .s_axis_a_tlast (array_a_tlast),
      .m_axis_y_tdata (array_y_tdata),
      .m_axis_y_tvalid(array_y_tvalid),
      .m_axis_y_tready(array_y_tready),
      .m_axis_y_tlast (array_y_tlast)
  );
endmodule
