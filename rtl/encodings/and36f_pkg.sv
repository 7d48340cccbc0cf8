// Exported from models/encodings/and36f.json; do not edit.
// the 36 largest AND partial products, least-squares position weights, with an f(a)
package and36f_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 8;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 8;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// product bits
  localparam int M = 36;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 36;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [36*32-1:0] GATES = {
    32'h0001c008, 32'h0000000f, 32'h0001000b, 32'h0000c00c, 32'h0001400a, 32'h0000800d,
    32'h00018009, 32'h0000400e, 32'h0001c009, 32'h0000400f, 32'h0001800a, 32'h0001400b,
    32'h0001000c, 32'h0000c00d, 32'h0000800e, 32'h0001c00a, 32'h0000800f, 32'h0001800b,
    32'h0000c00e, 32'h0001400c, 32'h0001000d, 32'h0001c00b, 32'h0000c00f, 32'h0001800c,
    32'h0001000e, 32'h0001400d, 32'h0001800d, 32'h0001400e, 32'h0001c00c, 32'h0001000f,
    32'h0001800e, 32'h0001c00d, 32'h0001400f, 32'h0001c00e, 32'h0001800f, 32'h0001c00f
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [36*16-1:0] BITS = {
    16'h0033, 16'h0032, 16'h0031, 16'h0030, 16'h002f, 16'h002e,
    16'h002d, 16'h002c, 16'h002b, 16'h002a, 16'h0029, 16'h0028,
    16'h0027, 16'h0026, 16'h0025, 16'h0024, 16'h0023, 16'h0022,
    16'h0021, 16'h0020, 16'h001f, 16'h001e, 16'h001d, 16'h001c,
    16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 116;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [116*32-1:0] DIGITS = {
    32'h0000000e, 32'h0002800d, 32'h0001800d, 32'h0005000c, 32'h0004800c, 32'h0003800c,
    32'h0009000b, 32'h0008000b, 32'h0007800b, 32'h0006800b, 32'h000e800a, 32'h000d800a,
    32'h000c000a, 32'h000b000a, 32'h000a000a, 32'h00148009, 32'h00138009, 32'h00120009,
    32'h00110009, 32'h00100009, 32'h000f0009, 32'h001d0008, 32'h001c0008, 32'h001b8008,
    32'h001a8008, 32'h00190008, 32'h00180008, 32'h00170008, 32'h00160008, 32'h00150008,
    32'h00210007, 32'h00200007, 32'h001f0007, 32'h001e0007, 32'h00238006, 32'h00228006,
    32'h001d8006, 32'h001c8006, 32'h00210005, 32'h00200005, 32'h001f0005, 32'h001e0005,
    32'h001b0005, 32'h001a0005, 32'h00190005, 32'h00180005, 32'h00170005, 32'h00160005,
    32'h00150005, 32'h00028005, 32'h00018005, 32'h00008005, 32'h00238004, 32'h00228004,
    32'h001d8004, 32'h001c8004, 32'h00140004, 32'h00130004, 32'h00120004, 32'h00110004,
    32'h00100004, 32'h000f0004, 32'h000a0004, 32'h00058004, 32'h00048004, 32'h00038004,
    32'h00210003, 32'h00200003, 32'h001f0003, 32'h001e0003, 32'h000c0003, 32'h000b0003,
    32'h00020003, 32'h00010003, 32'h00008003, 32'h00230002, 32'h00220002, 32'h001d8002,
    32'h001c8002, 32'h00120002, 32'h00110002, 32'h00100002, 32'h000f0002, 32'h000e0002,
    32'h000d0002, 32'h000a8002, 32'h00078002, 32'h00068002, 32'h00050002, 32'h001f0001,
    32'h001e0001, 32'h001b8001, 32'h001a8001, 32'h000c0001, 32'h000b0001, 32'h00040001,
    32'h00030001, 32'h00230000, 32'h00220000, 32'h001d0000, 32'h001c0000, 32'h00198000,
    32'h00188000, 32'h00178000, 32'h00168000, 32'h00158000, 32'h00100000, 32'h000f0000,
    32'h000e0000, 32'h000d0000, 32'h000a8000, 32'h00078000, 32'h00068000, 32'h00050000,
    32'h00028000, 32'h00018000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16196;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 16344;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 8;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 17;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [17*32-1:0] F_DIGITS = {
    32'h00010005, 32'h00000005, 32'h00030004, 32'h00020004, 32'h00078003, 32'h00040003,
    32'h00018003, 32'h00068002, 32'h00050002, 32'h00038002, 32'h00000002, 32'h00078001,
    32'h00020001, 32'h00010001, 32'h00060000, 32'h00058000, 32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -13;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 104;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1520-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd17, 32'd0, 32'd0, 32'd0, 32'd104, -32'd13, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = 0 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 0 : 0) + (w[7] ? 0 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [7888-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1520, 32'd6368, 32'd2656, 32'd2080, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd116, 32'd36, 32'd0, 32'd0, 32'd16344, -32'd16196, 32'd36, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
