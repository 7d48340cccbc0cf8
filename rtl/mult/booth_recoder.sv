// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Recodes a weight into radix-4 digits, w = sum_d 4^d * digit[d], digit in -2 .. 2 (A. D. Booth,
/// QJMAM 4, 1951; O. L. MacSorley, Proc. IRE 49, 1961). Of an odd WBits the highest is -1 .. 1. Combinational.
module booth_recoder #(
    parameter int WBits = 8,
    parameter int NumDigits = (WBits + 1) / 2
) (
    input  logic [      WBits-1:0] w_i,
    output logic [3*NumDigits-1:0] digits_o  // digit d at [d*3 +: 3]: {negative, two, one}
);
  logic [2*NumDigits:0] bits;
  assign bits = (2 * NumDigits + 1)'($signed({w_i, 1'b0}));
  for (genvar d = 0; d < NumDigits; d++) begin : gen_digit
    logic one;
    assign one = bits[2*d+1] ^ bits[2*d];
    assign digits_o[d*3]   = one;
    assign digits_o[d*3+1] = (bits[2*d+2] ^ bits[2*d+1]) & ~one;
    assign digits_o[d*3+2] = bits[2*d+2];
  end
endmodule
