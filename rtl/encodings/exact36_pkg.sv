// Exported from models/encodings/exact36.json; do not edit.
// 36 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package exact36_pkg;
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
  localparam int NUM_GATES = 136;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [136*32-1:0] GATES = {
    32'h20024096, 32'h00000008, 32'h20024094, 32'h10248093, 32'h00000040, 32'h00004008,
    32'h20024090, 32'h1023808f, 32'h00004040, 32'h00008008, 32'h2002c08c, 32'h0000000a,
    32'h2002408a, 32'h10220089, 32'h00008040, 32'h0000c008, 32'h2002c086, 32'h10210085,
    32'h00000028, 32'h0000400a, 32'h20024082, 32'h10200081, 32'h0000c040, 32'h00010008,
    32'h2002c07e, 32'h101f007d, 32'h00004028, 32'h0000800a, 32'h2003407a, 32'h0000000c,
    32'h20024078, 32'h101d8077, 32'h00010040, 32'h00014008, 32'h2002c074, 32'h101c8073,
    32'h00008028, 32'h0000c00a, 32'h20034070, 32'h101b806f, 32'h00000018, 32'h0000400c,
    32'h2002406c, 32'h101a806b, 32'h00014040, 32'h00018008, 32'h2002c068, 32'h10198067,
    32'h0000c028, 32'h0001000a, 32'h20034064, 32'h10188063, 32'h00004018, 32'h0000800c,
    32'h2003c060, 32'h0000000e, 32'h2002405e, 32'h1017005d, 32'h00018040, 32'h0001c008,
    32'h2002c05a, 32'h10160059, 32'h00010028, 32'h0001400a, 32'h20034056, 32'h10150055,
    32'h00008018, 32'h0000c00c, 32'h2003c052, 32'h10140051, 32'h00000010, 32'h0000400e,
    32'h2002c04e, 32'h1013004d, 32'h00014028, 32'h0001800a, 32'h2003404a, 32'h10120049,
    32'h0000c018, 32'h0001000c, 32'h2003c046, 32'h10110045, 32'h00004010, 32'h0000800e,
    32'h20024042, 32'h0001c041, 32'h10020040, 32'h40020009, 32'h2002c03e, 32'h100f003d,
    32'h00018028, 32'h0001c00a, 32'h2003403a, 32'h100e0039, 32'h00010018, 32'h0001400c,
    32'h2003c036, 32'h100d0035, 32'h00008010, 32'h0000c00e, 32'h20034032, 32'h100c0031,
    32'h00014018, 32'h0001800c, 32'h2003c02e, 32'h100b002d, 32'h0000c010, 32'h0001000e,
    32'h2002c02a, 32'h0001c029, 32'h10028028, 32'h4002800b, 32'h20034026, 32'h10090025,
    32'h00018018, 32'h0001c00c, 32'h2003c022, 32'h10080021, 32'h00010010, 32'h0001400e,
    32'h2003c01e, 32'h1007001d, 32'h00014010, 32'h0001800e, 32'h2003401a, 32'h0001c019,
    32'h10030018, 32'h4003000d, 32'h2003c016, 32'h10050015, 32'h00018010, 32'h0001c00e,
    32'h2003c012, 32'h0001c011, 32'h10038010, 32'h6003c00e
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [36*16-1:0] BITS = {
    16'h0097, 16'h0095, 16'h0091, 16'h008d, 16'h008b, 16'h0087,
    16'h0083, 16'h007f, 16'h007b, 16'h0079, 16'h0075, 16'h0071,
    16'h006d, 16'h0069, 16'h0065, 16'h0061, 16'h005f, 16'h005b,
    16'h0057, 16'h0053, 16'h004f, 16'h004b, 16'h0047, 16'h0043,
    16'h003f, 16'h003b, 16'h0037, 16'h0033, 16'h002f, 16'h002b,
    16'h0027, 16'h0023, 16'h001f, 16'h001b, 16'h0017, 16'h0013
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 36;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [36*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0005800b, 32'h0004000b,
    32'h0008800a, 32'h0007000a, 32'h0006000a, 32'h000b8009, 32'h000a8009, 32'h00090009,
    32'h000f8008, 32'h000e8008, 32'h000d0008, 32'h000c0008, 32'h00138007, 32'h00128007,
    32'h00118007, 32'h00100007, 32'h00178006, 32'h00168006, 32'h00158006, 32'h00140006,
    32'h001a8005, 32'h00198005, 32'h00188005, 32'h001d8004, 32'h001c8004, 32'h001b8004,
    32'h001f8003, 32'h001e8003, 32'h00218002, 32'h00208002, 32'h00228001, 32'h00238000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -21654;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 21696;
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
  localparam int F_NUM_DIGITS = 24;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [24*32-1:0] F_DIGITS = {
    32'h0007800c, 32'h0006000b, 32'h0007800a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00078008, 32'h00050008, 32'h00030008, 32'h00060007, 32'h00040007, 32'h00020007,
    32'h00050006, 32'h00030006, 32'h00010006, 32'h00040005, 32'h00020005, 32'h00000005,
    32'h00030004, 32'h00010004, 32'h00020003, 32'h00000003, 32'h00010002, 32'h00000001
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -5376;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 5334;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1744-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd24, 32'd0, 32'd0, 32'd0, 32'd5334, -32'd5376, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = 0 + (w[0] ? 0 : 0) + (w[1] ? -1 : 0) + (w[2] ? 0 : 0) + (w[3] ? -4 : 0) + (w[4] ? 0 : 0) + (w[5] ? -16 : 0) + (w[6] ? 0 : 0) + (w[7] ? 64 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [8752-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1744, 32'd7008, 32'd5856, 32'd5280, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd36, 32'd136, 32'd0, 32'd0, 32'd21696, -32'd21654, 32'd36, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
