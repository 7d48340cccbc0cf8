// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// An AXI4-Lite as the registers of the tile engine have it: 8 bits of address, 32 of data, no protection.
interface axil_if;
  logic [ 7:0] awaddr;
  logic        awvalid;
  logic        awready;
  logic [31:0] wdata;
  logic [ 3:0] wstrb;
  logic        wvalid;
  logic        wready;
  logic [ 1:0] bresp;
  logic        bvalid;
  logic        bready;
  logic [ 7:0] araddr;
  logic        arvalid;
  logic        arready;
  logic [31:0] rdata;
  logic [ 1:0] rresp;
  logic        rvalid;
  logic        rready;

  modport manager(
      output awaddr, awvalid, wdata, wstrb, wvalid, bready, araddr, arvalid, rready,
      input awready, wready, bresp, bvalid, arready, rdata, rresp, rvalid
  );
  modport subordinate(
      input awaddr, awvalid, wdata, wstrb, wvalid, bready, araddr, arvalid, rready,
      output awready, wready, bresp, bvalid, arready, rdata, rresp, rvalid
  );
endinterface
