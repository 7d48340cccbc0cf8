// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Registers of programmable position weights, `Default` after reset.
///
/// A write names a product bit and its weight. A write to a product bit that is not there, or of a weight
/// that does not fit signed 16 bits, changes nothing and sets `error_o` until reset or `clear_i`.
/// Latency: 1 cycle from a write to `weights_o` and `error_o`.
module position_weights #(
    parameter int M = 1,
    /// Weights after reset, s[m] at [m*16 +: 16].
    parameter logic [M*16-1:0] Default = '0
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,
    input  logic                   write_i,
    input  logic            [15:0] index_i,
    input  logic signed     [31:0] weight_i,
    input  logic                   clear_i,
    output logic                   error_o,
    output logic        [M*16-1:0] weights_o
);
  logic good;
  assign good = index_i < 16'(M) && weight_i == 32'($signed(weight_i[15:0]));

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) error_o <= 1'b0;
    else if (write_i && !good) error_o <= 1'b1;
    else if (clear_i) error_o <= 1'b0;
  end
  for (genvar m = 0; m < M; m++) begin : gen_weight
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) weights_o[m*16+:16] <= Default[m*16+:16];
      else if (write_i && good && index_i == 16'(m)) weights_o[m*16+:16] <= weight_i[15:0];
    end
  end
endmodule
