// Exported from models/encodings/and44.json; do not edit.
// the 44 largest AND partial products, least-squares position weights
package and44_pkg;
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
  localparam int M = 44;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 44;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [44*32-1:0] GATES = {
    32'h0000000d, 32'h0000000e, 32'h0000400d, 32'h00018008, 32'h00014009, 32'h0001000a,
    32'h0000c00b, 32'h0000800c, 32'h0001c008, 32'h0000000f, 32'h0000800d, 32'h00018009,
    32'h0001400a, 32'h0001000b, 32'h0000c00c, 32'h0000400e, 32'h0000400f, 32'h0001c009,
    32'h0000c00d, 32'h0001800a, 32'h0001400b, 32'h0000800e, 32'h0001000c, 32'h0000800f,
    32'h0001c00a, 32'h0001000d, 32'h0001800b, 32'h0000c00e, 32'h0001400c, 32'h0001400d,
    32'h0000c00f, 32'h0001c00b, 32'h0001800c, 32'h0001000e, 32'h0001800d, 32'h0001400e,
    32'h0001000f, 32'h0001c00c, 32'h0001800e, 32'h0001400f, 32'h0001c00d, 32'h0001c00e,
    32'h0001800f, 32'h0001c00f
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [44*16-1:0] BITS = {
    16'h003b, 16'h003a, 16'h0039, 16'h0038, 16'h0037, 16'h0036,
    16'h0035, 16'h0034, 16'h0033, 16'h0032, 16'h0031, 16'h0030,
    16'h002f, 16'h002e, 16'h002d, 16'h002c, 16'h002b, 16'h002a,
    16'h0029, 16'h0028, 16'h0027, 16'h0026, 16'h0025, 16'h0024,
    16'h0023, 16'h0022, 16'h0021, 16'h0020, 16'h001f, 16'h001e,
    16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0019, 16'h0018,
    16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012,
    16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 133;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [133*32-1:0] DIGITS = {
    32'h0000000e, 32'h0002800d, 32'h0001800d, 32'h0005000c, 32'h0004800c, 32'h0003800c,
    32'h0009000b, 32'h0008000b, 32'h0007800b, 32'h0006800b, 32'h000e000a, 32'h000d800a,
    32'h000c800a, 32'h000b000a, 32'h000a000a, 32'h00148009, 32'h00138009, 32'h00120009,
    32'h00110009, 32'h00100009, 32'h000f0009, 32'h001b8008, 32'h001a8008, 32'h00190008,
    32'h00180008, 32'h00170008, 32'h00160008, 32'h00150008, 32'h00238007, 32'h00228007,
    32'h00210007, 32'h00200007, 32'h001f0007, 32'h001e0007, 32'h001d0007, 32'h001c0007,
    32'h002a0006, 32'h00290006, 32'h00280006, 32'h00270006, 32'h00260006, 32'h00250006,
    32'h00240006, 32'h002b0005, 32'h00290004, 32'h00280004, 32'h00270004, 32'h00260004,
    32'h00250004, 32'h00240004, 32'h00230004, 32'h00200004, 32'h001f0004, 32'h001e0004,
    32'h001d0004, 32'h001c0004, 32'h001b0004, 32'h001a0004, 32'h00098004, 32'h00058004,
    32'h00038004, 32'h00028004, 32'h00018004, 32'h00008004, 32'h002b0003, 32'h002a0003,
    32'h00220003, 32'h00210003, 32'h00180003, 32'h00170003, 32'h00160003, 32'h00150003,
    32'h00140003, 32'h00130003, 32'h00280002, 32'h00270002, 32'h00260002, 32'h00250002,
    32'h00240002, 32'h00230002, 32'h00208002, 32'h001a8002, 32'h00190002, 32'h00110002,
    32'h00100002, 32'h000f0002, 32'h000e8002, 32'h000d0002, 32'h000c0002, 32'h00090002,
    32'h00088002, 32'h00050002, 32'h00048002, 32'h00030002, 32'h00020002, 32'h00010002,
    32'h00000002, 32'h002b8001, 32'h002a8001, 32'h00298001, 32'h00228001, 32'h001f8001,
    32'h001e8001, 32'h001d8001, 32'h001c8001, 32'h001b8001, 32'h00150001, 32'h000b8001,
    32'h00068001, 32'h00288000, 32'h00278000, 32'h00268000, 32'h00258000, 32'h00248000,
    32'h00238000, 32'h00210000, 32'h00188000, 32'h00170000, 32'h00160000, 32'h00140000,
    32'h00138000, 32'h00118000, 32'h000f0000, 32'h000e8000, 32'h000c8000, 32'h00090000,
    32'h00088000, 32'h00050000, 32'h00048000, 32'h00030000, 32'h00020000, 32'h00010000,
    32'h00000000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16239;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 16373;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 0;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [1*16-1:0] F_BITS = {
    16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 0;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [1*32-1:0] F_DIGITS = {
    32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = 0;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 0;
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = 13 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 0 : 0) + (w[7] ? 0 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [7296-1:0] ENCODING = {
    DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd0, 32'd0, 32'd3040, 32'd2336, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd133, 32'd44, 32'd0, 32'd0, 32'd16373, -32'd16239, 32'd44, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
