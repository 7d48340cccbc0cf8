// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// An AXI4-Stream as the arrays and the tile engine have it: data, valid, ready, last.
interface axis_if #(
    /// Bits of a beat.
    parameter int Width = 8
);
  logic [Width-1:0] tdata;
  logic             tvalid;
  logic             tready;
  logic             tlast;

  modport source(output tdata, tvalid, tlast, input tready);
  modport sink(input tdata, tvalid, tlast, output tready);
endinterface
