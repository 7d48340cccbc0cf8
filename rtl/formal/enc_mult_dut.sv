// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// enc_mult of the encoding `ENCODING_PKG` on whole operands, for the proofs of flows/formal.
///
/// Operands and product bits are bit-sliced as in enc_mult.
module enc_mult_dut #(
    parameter int Lanes = 1
) (
    input  logic [                8*Lanes-1:0] a_i,
    input  logic [                8*Lanes-1:0] w_i,
    output logic [`ENCODING_PKG::M*Lanes-1:0] b_o
);
  enc_mult #(
      .Lanes   (Lanes),
      .NumGates(`ENCODING_PKG::NUM_GATES),
      .Gates   (`ENCODING_PKG::GATES),
      .M       (`ENCODING_PKG::M),
      .Bits    (`ENCODING_PKG::BITS)
  ) u_mult (
      .a_i,
      .w_i,
      .b_o
  );
endmodule
