// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Skid buffer: cuts the way of `tready` through a stream and costs neither throughput nor a cycle.
///
/// `s_axis_tready` comes from a register. A beat that is taken while `m_axis_tready` is 0 is kept and
/// offered until it is taken; meanwhile no other is taken. `tdata`, `tvalid` and `tlast` are not cut.
/// Latency: 0 cycles.
module skid_buffer #(
    parameter int Width = 8
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic [Width-1:0] s_axis_tdata,
    input  logic             s_axis_tvalid,
    output logic             s_axis_tready,
    input  logic             s_axis_tlast,
    output logic [Width-1:0] m_axis_tdata,
    output logic             m_axis_tvalid,
    input  logic             m_axis_tready,
    output logic             m_axis_tlast
);
  logic full_q, last_q;
  logic [Width-1:0] data_q;

  assign s_axis_tready = !full_q;
  assign m_axis_tvalid = full_q || s_axis_tvalid;
  assign m_axis_tdata  = full_q ? data_q : s_axis_tdata;
  assign m_axis_tlast  = full_q ? last_q : s_axis_tlast;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) full_q <= 1'b0;
    else full_q <= m_axis_tvalid && !m_axis_tready;
  end
  always_ff @(posedge clk_i) begin
    if (!full_q) {last_q, data_q} <= {s_axis_tlast, s_axis_tdata};
  end
endmodule
