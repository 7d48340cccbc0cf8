// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Partial products of an activation and a weight in radix-4 digits: product bit i of digit d weighs
/// 4^d * 2^i, bit 8 negative; bit 9 is the one that completes a negative digit and weighs 4^d. Combinational.
module booth_products (
    input  logic [ 7:0] a_i,
    input  logic [11:0] digits_i,  // digit d at [d*3 +: 3]: {negative, two, one}
    output logic [39:0] b_o        // bit i of digit d at [d*10 + i]
);
  logic [8:0] once, twice;
  assign once  = {a_i[7], a_i};
  assign twice = {a_i, 1'b0};
  for (genvar d = 0; d < 4; d++) begin : gen_digit
    logic one, two, negative;
    assign {negative, two, one} = digits_i[d*3+:3];
    assign b_o[d*10+:9] = ((once & {9{one}}) | (twice & {9{two}})) ^ {9{negative}};
    assign b_o[d*10+9]  = negative;
  end
endmodule
