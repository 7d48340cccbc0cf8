// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Adds up result vectors of several K tiles: `Depth` vectors of `Cols` int32 that wrap.
///
/// Vector v of a tile is added to entry v; the first tile takes the bias in place of the entry, so the
/// memory is never cleared; the last one sends the sum on and writes nothing. One vector a cycle, sums
/// leave one cycle after the vector was taken. The memory has one write port and one read port with a
/// register behind it; a vector that reads what is being written waits for a cycle.
/// Latency: 1 cycle.
module accumulation_buffer #(
    parameter int Cols = 16,
    parameter int Depth = 256
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 abort_i,        // forget the tile
    input  logic                 first_i,        // the vector at s_axis is of the first K tile
    input  logic                 final_i,        // ... of the last K tile
    input  logic                 bank_i,         // ... takes its bias from this bank
    input  logic [2*Cols*32-1:0] bias_i,         // two banks, each stable from a vector until its sum has left
    input  logic [  Cols*32-1:0] s_axis_tdata,
    input  logic                 s_axis_tvalid,
    output logic                 s_axis_tready,
    input  logic                 s_axis_tlast,   // last vector of the tile
    output logic                 bank_o,         // bank of the sum at m_axis
    output logic [  Cols*32-1:0] m_axis_tdata,
    output logic                 m_axis_tvalid,
    input  logic                 m_axis_tready,
    output logic                 m_axis_tlast
);
  localparam int AddressWidth = Depth > 1 ? $clog2(Depth) : 1;

  logic [Cols*32-1:0] memory[Depth];
  logic [Cols*32-1:0] read_q, vector_q, base, sum;
  logic [AddressWidth-1:0] address, address_q;
  logic valid_q, first_q, final_q, last_q;
  logic advance, beat, write;

  assign m_axis_tvalid = valid_q && final_q;
  assign m_axis_tlast  = last_q;
  assign m_axis_tdata  = sum;
  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign write         = valid_q && !final_q;
  assign s_axis_tready = advance && !(write && address == address_q);
  assign beat          = s_axis_tvalid && s_axis_tready;

  assign base          = first_q ? (bank_o ? bias_i[Cols*32+:Cols*32] : bias_i[0+:Cols*32]) : read_q;
  for (genvar c = 0; c < Cols; c++) begin : gen_column
    assign sum[c*32+:32] = base[c*32+:32] + vector_q[c*32+:32];
  end

  always_ff @(posedge clk_i) begin
    if (write) memory[address_q] <= sum;
    if (beat) begin
      read_q    <= memory[address];
      vector_q  <= s_axis_tdata;
      address_q <= address;
      first_q   <= first_i;
      final_q   <= final_i;
      bank_o    <= bank_i;
      last_q    <= s_axis_tlast;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      address <= '0;
    end else if (abort_i) begin
      valid_q <= 1'b0;
      address <= '0;
    end else begin
      if (advance) valid_q <= beat;
      if (beat) address <= s_axis_tlast ? '0 : address + 1'b1;
    end
  end
endmodule
