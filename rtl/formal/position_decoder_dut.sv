// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// position_decoder with the position weights of `ENCODING_PKG`, for the proofs of flows/formal.
module position_decoder_dut #(
    parameter int Lanes = 1,
    parameter int CountWidth = 1,
    parameter int Width = 32,
    parameter int AccRows = 0,
    parameter int ConstantLanes = Lanes
) (
    input  logic [`ENCODING_PKG::M*CountWidth*Lanes-1:0] counts_i,
    input  logic [                           Width-1:0] acc0_i,
    input  logic [                           Width-1:0] acc1_i,
    output logic [                           Width-1:0] row0_o,
    output logic [                           Width-1:0] row1_o
);
  position_decoder #(
      .M            (`ENCODING_PKG::M),
      .NumDigits    (`ENCODING_PKG::NUM_DIGITS),
      .Digits       (`ENCODING_PKG::DIGITS),
      .Lanes        (Lanes),
      .CountWidth   (CountWidth),
      .Width        (Width),
      .AccRows      (AccRows),
      .ConstantLanes(ConstantLanes)
  ) u_decoder (
      .counts_i,
      .acc0_i,
      .acc1_i,
      .row0_o,
      .row1_o
  );
endmodule
