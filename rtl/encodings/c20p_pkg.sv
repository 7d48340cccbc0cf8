// Exported from models/encodings/c20p.json; do not edit.
// 20 product bits for chosen weights of 5 bits, radix-4 digits, powers of two, f(a)
package c20p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 7;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 5;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [5*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003
  };
  /// product bits
  localparam int M = 20;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 57;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [57*32-1:0] GATES = {
    32'h20024043, 32'h10104042, 32'h00000017, 32'h00004008, 32'h00008007, 32'h2002403e,
    32'h100f003d, 32'h00004017, 32'h00008008, 32'h2002c03a, 32'h0000000a, 32'h0000c007,
    32'h20024037, 32'h100d4036, 32'h00008017, 32'h0000c008, 32'h2002c033, 32'h100c4032,
    32'h0000000e, 32'h0000400a, 32'h00010007, 32'h2002402e, 32'h100b002d, 32'h0000c017,
    32'h00010008, 32'h2002c02a, 32'h100a0029, 32'h0000400e, 32'h0000800a, 32'h00014007,
    32'h20024025, 32'h1008c024, 32'h00010017, 32'h00014008, 32'h2002c021, 32'h1007c020,
    32'h0000800e, 32'h0000c00a, 32'h00018007, 32'h2002c01c, 32'h1006801b, 32'h0000c00e,
    32'h0001000a, 32'h10058018, 32'h00014017, 32'h40020009, 32'h00018008, 32'h2002c014,
    32'h10048013, 32'h0001000e, 32'h0001400a, 32'h00018009, 32'h1003400f, 32'h0001400e,
    32'h6002c00a, 32'h0001800a, 32'h0001800b
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h0044, 16'h0040, 16'h003f, 16'h003b, 16'h0039, 16'h0038,
    16'h0034, 16'h0030, 16'h002f, 16'h002b, 16'h0027, 16'h0026,
    16'h0022, 16'h001e, 16'h001d, 16'h0019, 16'h0015, 16'h0011,
    16'h0010, 16'h000c
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 20;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [20*32-1:0] DIGITS = {
    32'h0000000e, 32'h0001800d, 32'h0003000c, 32'h0002800c, 32'h0005000b, 32'h0004800b,
    32'h0008800a, 32'h0007000a, 32'h0006800a, 32'h000b8009, 32'h000a0009, 32'h00090009,
    32'h000e8008, 32'h000d0008, 32'h000c0008, 32'h00118007, 32'h00100007, 32'h000f0007,
    32'h00138006, 32'h00120006
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -17344;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 24448;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 7;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 25;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [25*32-1:0] F_DIGITS = {
    32'h0005000b, 32'h0004000a, 32'h00030009, 32'h00020008, 32'h00068007, 32'h00010007,
    32'h00050006, 32'h00000006, 32'h00068005, 32'h00040005, 32'h00050004, 32'h00030004,
    32'h00010004, 32'h00000004, 32'h00040003, 32'h00020003, 32'h00030002, 32'h00010002,
    32'h00008002, 32'h00060001, 32'h00058000, 32'h00048000, 32'h00038000, 32'h00020000,
    32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -158;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 4211;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1760-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd960, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd25, 32'd0, 32'd0, 32'd0, 32'd4211, -32'd158, 32'd7, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a,
    32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a,
    32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe84a, 32'hffffe832, 32'hffffe832,
    32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832,
    32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832, 32'hffffe832,
    32'hffffe832, 32'hffffe832, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a,
    32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a,
    32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a, 32'hffffe05a,
    32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062,
    32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062,
    32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe062, 32'hffffe82a, 32'hffffe82a,
    32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a,
    32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a, 32'hffffe82a,
    32'hffffe82a, 32'hffffe82a, 32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812,
    32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812,
    32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812, 32'hffffe812,
    32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a,
    32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a,
    32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe03a, 32'hffffe042, 32'hffffe042,
    32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042,
    32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042, 32'hffffe042,
    32'hffffe042, 32'hffffe042, 32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a,
    32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a,
    32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a, 32'h0000080a,
    32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2,
    32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2,
    32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h000007f2, 32'h0000001a, 32'h0000001a,
    32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a,
    32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a, 32'h0000001a,
    32'h0000001a, 32'h0000001a, 32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022,
    32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022,
    32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022, 32'h00000022,
    32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea,
    32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea,
    32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007ea, 32'h000007d2, 32'h000007d2,
    32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2,
    32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2, 32'h000007d2,
    32'h000007d2, 32'h000007d2, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa,
    32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa,
    32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa, 32'hfffffffa,
    32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002,
    32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002,
    32'h00000002, 32'h00000002, 32'h00000002, 32'h00000002
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [5408-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1760, 32'd3648, 32'd3008, 32'd2688, 32'd864, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd20, 32'd57, 32'd0, 32'd0, 32'd24448, -32'd17344, 32'd20, 32'd5, 32'd7, 32'h454e4301
  };
endpackage
