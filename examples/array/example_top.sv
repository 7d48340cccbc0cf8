// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// An encoded array in a design of one's own: exact products of `exact64`, three AXI4-Streams.
///
/// Another encoding: name its package here and in the testbench, and compile its file, rtl/encodings/<name>_pkg.sv
/// (Icarus calls a package that was forgotten a syntax error). Merged = 1 needs position weights that are powers of two.
/// What a weight alone adds to its products (`weight_term` of the package; 0 for exact64) is not in the array: it is
/// added once, as a network does with its bias. The protocol of the streams is that of stream_control.
/// Latency: that of mac_array.
module example_top #(
    parameter int Rows = 8,
    parameter int Cols = 4
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
  logic unused_error;
  mac_array #(
      .Rows    (Rows),
      .Cols    (Cols),
      .Merged  (1'b1),
      .Encoding(exact64_pkg::ENCODING)
  ) u_array (
      .position_write_i (1'b0),
      .position_index_i (16'd0),
      .position_weight_i(32'd0),
      .position_clear_i (1'b0),
      .position_error_o (unused_error),
      .*
  );
endmodule
