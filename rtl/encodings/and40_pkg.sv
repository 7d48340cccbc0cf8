// Exported from models/encodings/and40.json; do not edit.
// the 40 largest AND partial products, least-squares position weights
package and40_pkg;
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
  localparam int M = 40;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 40;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [40*32-1:0] GATES = {
    32'h0001c008, 32'h0000c00b, 32'h0000800c, 32'h0000400d, 32'h0000000e, 32'h0000000f,
    32'h0000400e, 32'h0000800d, 32'h0000c00c, 32'h0001000b, 32'h0001400a, 32'h00018009,
    32'h0001c009, 32'h0000400f, 32'h0000800e, 32'h0000c00d, 32'h0001400b, 32'h0001000c,
    32'h0001800a, 32'h0001c00a, 32'h0000800f, 32'h0000c00e, 32'h0001800b, 32'h0001400c,
    32'h0001000d, 32'h0000c00f, 32'h0001800c, 32'h0001400d, 32'h0001c00b, 32'h0001000e,
    32'h0001000f, 32'h0001800d, 32'h0001400e, 32'h0001c00c, 32'h0001800e, 32'h0001400f,
    32'h0001c00d, 32'h0001800f, 32'h0001c00e, 32'h0001c00f
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [40*16-1:0] BITS = {
    16'h0037, 16'h0036, 16'h0035, 16'h0034, 16'h0033, 16'h0032,
    16'h0031, 16'h0030, 16'h002f, 16'h002e, 16'h002d, 16'h002c,
    16'h002b, 16'h002a, 16'h0029, 16'h0028, 16'h0027, 16'h0026,
    16'h0025, 16'h0024, 16'h0023, 16'h0022, 16'h0021, 16'h0020,
    16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h001b, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 123;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [123*32-1:0] DIGITS = {
    32'h0000000e, 32'h0002800d, 32'h0001800d, 32'h0005000c, 32'h0004800c, 32'h0003800c,
    32'h0009800b, 32'h0008000b, 32'h0007000b, 32'h0006800b, 32'h000e800a, 32'h000d000a,
    32'h000c000a, 32'h000b800a, 32'h000a000a, 32'h00148009, 32'h00138009, 32'h00120009,
    32'h00110009, 32'h00100009, 32'h000f0009, 32'h001d0008, 32'h001c0008, 32'h001b8008,
    32'h001a8008, 32'h00190008, 32'h00180008, 32'h00170008, 32'h00160008, 32'h00150008,
    32'h00228007, 32'h00210007, 32'h00200007, 32'h001f0007, 32'h001e0007, 32'h00278006,
    32'h00260006, 32'h00250006, 32'h00240006, 32'h00230006, 32'h001d8006, 32'h001c8006,
    32'h001e0005, 32'h001b0005, 32'h00160005, 32'h00150005, 32'h00018005, 32'h00008005,
    32'h00260004, 32'h00250004, 32'h00240004, 32'h00230004, 32'h00220004, 32'h00210004,
    32'h00200004, 32'h001f0004, 32'h001d8004, 32'h001c8004, 32'h001a0004, 32'h00170004,
    32'h00140004, 32'h00100004, 32'h000f0004, 32'h000a0004, 32'h00090004, 32'h00068004,
    32'h00038004, 32'h00278003, 32'h001e8003, 32'h00190003, 32'h00180003, 32'h00168003,
    32'h00130003, 32'h000c0003, 32'h000b8003, 32'h00058003, 32'h00028003, 32'h00010003,
    32'h00000003, 32'h00218002, 32'h00208002, 32'h001f8002, 32'h001d8002, 32'h001a8002,
    32'h00110002, 32'h00108002, 32'h000a8002, 32'h00098002, 32'h00088002, 32'h00038002,
    32'h001e0001, 32'h00198001, 32'h00168001, 32'h00138001, 32'h00120001, 32'h000e0001,
    32'h000b8001, 32'h00058001, 32'h00028001, 32'h00270000, 32'h00260000, 32'h00250000,
    32'h00240000, 32'h00230000, 32'h00220000, 32'h00218000, 32'h001f0000, 32'h001b0000,
    32'h001a8000, 32'h00150000, 32'h00140000, 32'h00110000, 32'h000f0000, 32'h000d0000,
    32'h000c8000, 32'h000a8000, 32'h00098000, 32'h00070000, 32'h00060000, 32'h00040000,
    32'h00030000, 32'h00018000, 32'h00008000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16218;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 16359;
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
    weight_term = 28 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 0 : 0) + (w[7] ? 0 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [6784-1:0] ENCODING = {
    DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd0, 32'd0, 32'd2848, 32'd2208, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd123, 32'd40, 32'd0, 32'd0, 32'd16359, -32'd16218, 32'd40, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
