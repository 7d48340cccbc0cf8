// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// The gates of the encoding `ENCODING_PKG` on whole operands: encoders of activation and weight, gates
/// of a row, and the bits of f(a), as mac_array puts them together but without registers. For the proofs
/// of flows/formal. All is bit-sliced as in enc_mult.
module enc_mult_dut #(
    parameter int Lanes = 1,
    parameter int ABits = `ENCODING_PKG::A_BITS,
    parameter int WBits = `ENCODING_PKG::W_BITS,
    parameter int M = `ENCODING_PKG::M,
    parameter int FM = `ENCODING_PKG::F_M,
    parameter int FPorts = FM > 0 ? FM : 1
) (
    input  logic [     8*Lanes-1:0] a_i,
    input  logic [     8*Lanes-1:0] w_i,
    output logic [     M*Lanes-1:0] b_o,
    output logic [FPorts*Lanes-1:0] f_o
);
  logic [(ABits+WBits)*Lanes-1:0] operands;
  if (ABits > 0) begin : gen_activation
    enc_mult #(
        .Lanes   (Lanes),
        .Inputs  (8),
        .NumGates(`ENCODING_PKG::A_NUM_GATES),
        .Gates   (`ENCODING_PKG::A_GATES),
        .M       (ABits),
        .Bits    (`ENCODING_PKG::A_WIRES)
    ) u_encoder (
        .in_i(a_i),
        .b_o (operands[ABits*Lanes-1:0])
    );
  end
  if (WBits > 0) begin : gen_weight
    enc_mult #(
        .Lanes   (Lanes),
        .Inputs  (8),
        .NumGates(`ENCODING_PKG::W_NUM_GATES),
        .Gates   (`ENCODING_PKG::W_GATES),
        .M       (WBits),
        .Bits    (`ENCODING_PKG::W_WIRES)
    ) u_encoder (
        .in_i(w_i),
        .b_o (operands[ABits*Lanes+:WBits*Lanes])
    );
  end
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (ABits + WBits),
      .NumGates(`ENCODING_PKG::NUM_GATES),
      .Gates   (`ENCODING_PKG::GATES),
      .M       (M),
      .Bits    (`ENCODING_PKG::BITS)
  ) u_mult (
      .in_i(operands),
      .b_o
  );
  if (FM > 0) begin : gen_shared
    enc_mult #(
        .Lanes   (Lanes),
        .Inputs  (8),
        .NumGates(`ENCODING_PKG::F_NUM_GATES),
        .Gates   (`ENCODING_PKG::F_GATES),
        .M       (FM),
        .Bits    (`ENCODING_PKG::F_BITS)
    ) u_shared (
        .in_i(a_i),
        .b_o (f_o)
    );
  end else begin : gen_alone
    assign f_o = '0;
  end
endmodule
