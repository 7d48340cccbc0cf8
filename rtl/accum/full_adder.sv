// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// `Lanes` independent full adders: x + y + z = sum + 2 * carry, lane by lane. Combinational.
module full_adder #(
    parameter int Lanes = 1
) (
    input  logic [Lanes-1:0] x_i,
    input  logic [Lanes-1:0] y_i,
    input  logic [Lanes-1:0] z_i,
    output logic [Lanes-1:0] sum_o,
    output logic [Lanes-1:0] carry_o
);
  assign sum_o   = x_i ^ y_i ^ z_i;
  assign carry_o = (x_i & y_i) | (z_i & (x_i ^ y_i));
endmodule
