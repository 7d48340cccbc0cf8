// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`ifndef ENCMAC_CHECKS_SVH
`define ENCMAC_CHECKS_SVH

/// Stops elaboration with a message unless a condition on parameters holds.
/// Icarus Verilog 11 knows no elaboration tasks: there the simulation stops at time 0.
`ifdef __ICARUS__
`define ENCMAC_REQUIRE(NAME, CONDITION, MESSAGE) \
  if (!(CONDITION)) begin : NAME \
    initial $fatal(1, MESSAGE); \
  end
`else
`define ENCMAC_REQUIRE(NAME, CONDITION, MESSAGE) \
  if (!(CONDITION)) begin : NAME \
    $fatal(1, MESSAGE); \
  end
`endif

`endif
