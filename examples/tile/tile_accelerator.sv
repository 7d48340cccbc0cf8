// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// A tile engine with an encoded array behind SystemVerilog interfaces, for tools that take them as ports.
///
/// Another encoding: give ENCODING of its package; Merged = 1 needs position weights that are powers of two. Streams and
/// registers are those of tile_engine. It adds nothing but names.
/// Latency: that of tile_engine.
module tile_accelerator #(
    parameter int Rows = 8,
    parameter int Cols = 4,
    /// Vectors of partial sums that are kept: the longest tile.
    parameter int Depth = 16,
    parameter bit Merged = 1'b1,
    /// See encmac_pkg.
    parameter Encoding = exact64_pkg::ENCODING
) (
    input logic         clk_i,
    input logic         rst_ni,
    axil_if.subordinate s_axil,
    axis_if.sink        s_axis_w,  // Width = Cols * 8
    axis_if.sink        s_axis_a,  // Width = Rows * 8
    axis_if.sink        s_axis_p,  // Width = 128
    axis_if.source      m_axis_y   // Width = Cols * 32
);
  logic array_rst_n, unused_error;
  axis_if #(.Width(Cols * 8)) array_w ();
  axis_if #(.Width(Rows * 8)) array_a ();
  axis_if #(.Width(Cols * 32)) array_y ();

  tile_engine #(
      .Rows (Rows),
      .Cols (Cols),
      .Depth(Depth)
  ) u_engine (
      .clk_i,
      .rst_ni,
      .s_axil_awaddr        (s_axil.awaddr),
      .s_axil_awvalid       (s_axil.awvalid),
      .s_axil_awready       (s_axil.awready),
      .s_axil_wdata         (s_axil.wdata),
      .s_axil_wstrb         (s_axil.wstrb),
      .s_axil_wvalid        (s_axil.wvalid),
      .s_axil_wready        (s_axil.wready),
      .s_axil_bresp         (s_axil.bresp),
      .s_axil_bvalid        (s_axil.bvalid),
      .s_axil_bready        (s_axil.bready),
      .s_axil_araddr        (s_axil.araddr),
      .s_axil_arvalid       (s_axil.arvalid),
      .s_axil_arready       (s_axil.arready),
      .s_axil_rdata         (s_axil.rdata),
      .s_axil_rresp         (s_axil.rresp),
      .s_axil_rvalid        (s_axil.rvalid),
      .s_axil_rready        (s_axil.rready),
      .s_axis_w_tdata       (s_axis_w.tdata),
      .s_axis_w_tvalid      (s_axis_w.tvalid),
      .s_axis_w_tready      (s_axis_w.tready),
      .s_axis_w_tlast       (s_axis_w.tlast),
      .s_axis_a_tdata       (s_axis_a.tdata),
      .s_axis_a_tvalid      (s_axis_a.tvalid),
      .s_axis_a_tready      (s_axis_a.tready),
      .s_axis_a_tlast       (s_axis_a.tlast),
      .s_axis_p_tdata       (s_axis_p.tdata),
      .s_axis_p_tvalid      (s_axis_p.tvalid),
      .s_axis_p_tready      (s_axis_p.tready),
      .s_axis_p_tlast       (s_axis_p.tlast),
      .m_axis_y_tdata       (m_axis_y.tdata),
      .m_axis_y_tvalid      (m_axis_y.tvalid),
      .m_axis_y_tready      (m_axis_y.tready),
      .m_axis_y_tlast       (m_axis_y.tlast),
      .array_rst_no         (array_rst_n),
      .m_axis_array_w_tdata (array_w.tdata),
      .m_axis_array_w_tvalid(array_w.tvalid),
      .m_axis_array_w_tready(array_w.tready),
      .m_axis_array_w_tlast (array_w.tlast),
      .m_axis_array_a_tdata (array_a.tdata),
      .m_axis_array_a_tvalid(array_a.tvalid),
      .m_axis_array_a_tready(array_a.tready),
      .m_axis_array_a_tlast (array_a.tlast),
      .s_axis_array_y_tdata (array_y.tdata),
      .s_axis_array_y_tvalid(array_y.tvalid),
      .s_axis_array_y_tready(array_y.tready),
      .s_axis_array_y_tlast (array_y.tlast)
  );

  mac_array #(
      .Rows    (Rows),
      .Cols    (Cols),
      .Merged  (Merged),
      .Encoding(Encoding)
  ) u_array (
      .clk_i,
      .rst_ni           (array_rst_n),
      .position_write_i (1'b0),
      .position_index_i (16'd0),
      .position_weight_i(32'd0),
      .position_clear_i (1'b0),
      .position_error_o (unused_error),
      .s_axis_w_tdata   (array_w.tdata),
      .s_axis_w_tvalid  (array_w.tvalid),
      .s_axis_w_tready  (array_w.tready),
      .s_axis_w_tlast   (array_w.tlast),
      .s_axis_a_tdata   (array_a.tdata),
      .s_axis_a_tvalid  (array_a.tvalid),
      .s_axis_a_tready  (array_a.tready),
      .s_axis_a_tlast   (array_a.tlast),
      .m_axis_y_tdata   (array_y.tdata),
      .m_axis_y_tvalid  (array_y.tvalid),
      .m_axis_y_tready  (array_y.tready),
      .m_axis_y_tlast   (array_y.tlast)
  );
endmodule
