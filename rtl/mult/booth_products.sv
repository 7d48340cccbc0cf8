// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Partial products of an activation and a weight in radix-4 digits: product bit i of digit d weighs
/// 4^d * 2^i, bit ABits negative; the last one completes a negative digit and weighs 4^d. Combinational.
module booth_products #(
    parameter int ABits = 8,
    parameter int NumDigits = 4
) (
    input  logic [              ABits-1:0] a_i,
    input  logic [        3*NumDigits-1:0] digits_i,  // digit d at [d*3 +: 3]: {negative, two, one}
    output logic [NumDigits*(ABits+2)-1:0] b_o        // bit i of digit d at [d*(ABits + 2) + i]
);
  logic [ABits:0] once, twice;
  assign once  = {a_i[ABits-1], a_i};
  assign twice = {a_i, 1'b0};
  for (genvar d = 0; d < NumDigits; d++) begin : gen_digit
    logic one, two, negative;
    assign {negative, two, one} = digits_i[d*3+:3];
    assign b_o[d*(ABits+2)+:ABits+1] =
        ((once & {ABits + 1{one}}) | (twice & {ABits + 1{two}})) ^ {ABits + 1{negative}};
    assign b_o[d*(ABits+2)+ABits+1] = negative;
  end
endmodule
