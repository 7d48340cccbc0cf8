// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// delay_triangle delays lane l by l steps (`Falling` = 0) or Lanes - 1 - l (`Falling` = 1), and no step
/// happens while `advance_i` is 0: proven by k-induction (flows/formal).
///
/// The data of one step, any one, is remembered together with the steps that came after it.
module delay_triangle_props #(
    parameter int Lanes = 2,
    parameter int Width = 1,
    parameter bit Falling = 1'b0
) (
    input logic                   clk_i,
    input logic                   rst_ni,
    input logic                   advance_i,
    input logic [Lanes*Width-1:0] data_i,
    input logic                   mark_i,  // remember the data of this step, if none is remembered yet
    /// Situations that must be reachable, or the proof would be void: each lane was compared.
    output logic [Lanes-1:0] reached_o
);
  localparam int CountWidth = $clog2(Lanes + 1);
  logic [Lanes*Width-1:0] data_out;
  delay_triangle #(
      .Lanes  (Lanes),
      .Width  (Width),
      .Falling(Falling)
  ) u_dut (
      .clk_i,
      .advance_i,
      .data_i,
      .data_o(data_out)
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q == rst_ni);

  logic marked_q;
  logic [Lanes*Width-1:0] data_q;
  logic [CountWidth-1:0] age_q;  // steps since then, no further than Lanes
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      marked_q <= 1'b0;
    end else if (advance_i) begin
      if (!marked_q && mark_i) begin
        marked_q <= 1'b1;
        data_q   <= data_i;
        age_q    <= CountWidth'(1);
      end else if (age_q != CountWidth'(Lanes)) begin
        age_q <= age_q + CountWidth'(1);
      end
    end
  end

  logic unused_data;  // of the lane that is not delayed
  assign unused_data = ^data_q;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    localparam int Delay = Falling ? Lanes - 1 - l : l;
    logic due;
    if (Delay == 0) begin : gen_now
      assign due = rst_ni;
      always_comb if (due) assert (data_out[l*Width+:Width] == data_i[l*Width+:Width]);
    end else begin : gen_later
      assign due = rst_ni && marked_q && age_q == CountWidth'(Delay);
      always_comb if (due) assert (data_out[l*Width+:Width] == data_q[l*Width+:Width]);
    end
    assign reached_o[l] = due && data_out[l*Width+:Width] != '0;
  end
endmodule
