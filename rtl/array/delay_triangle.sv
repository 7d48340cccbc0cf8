// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Delays lane l of `Lanes` by l cycles (`Falling` = 0) or by Lanes - 1 - l (`Falling` = 1):
/// skews the inputs of a systolic array and straightens its outputs.
/// Latency: 0 .. Lanes - 1 cycles, by lane.
module delay_triangle #(
    parameter int Lanes = 1,
    parameter int Width = 8,
    parameter bit Falling = 1'b0
) (
    input  logic                   clk_i,
    input  logic                   advance_i,
    input  logic [Lanes*Width-1:0] data_i,
    output logic [Lanes*Width-1:0] data_o
);
  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    localparam int Delay = Falling ? Lanes - 1 - l : l;
    if (Delay == 0) begin : gen_through
      assign data_o[l*Width+:Width] = data_i[l*Width+:Width];
    end else begin : gen_delay
      logic [(Delay+1)*Width-1:0] line;
      logic [Delay*Width-1:0] line_q;
      assign line = {line_q, data_i[l*Width+:Width]};
      assign data_o[l*Width+:Width] = line[Delay*Width+:Width];
      always_ff @(posedge clk_i) begin
        if (advance_i) line_q <= line[0+:Delay*Width];
      end
    end
  end
endmodule
