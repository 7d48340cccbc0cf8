// Exported from models/encodings/m14p.json; do not edit.
// 14 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m14p_pkg;
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
  localparam int M = 14;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 50;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [50*32-1:0] GATES = {
    32'h2002403c, 32'h100e803b, 32'h00004019, 32'h00008008, 32'h20018007, 32'h20024037,
    32'h100d4036, 32'h00008019, 32'h0000c008, 32'h2002c033, 32'h100c4032, 32'h0000000c,
    32'h0000400a, 32'h2002402f, 32'h100b402e, 32'h0000c019, 32'h00010008, 32'h2002c02b,
    32'h100a402a, 32'h0000400c, 32'h0000800a, 32'h20024027, 32'h10094026, 32'h00010019,
    32'h00014008, 32'h2002c023, 32'h10084022, 32'h0000800c, 32'h0000c00a, 32'h20018009,
    32'h2002c01e, 32'h1007001d, 32'h0000c00c, 32'h0001000a, 32'h1006001a, 32'h00014019,
    32'h40020009, 32'h00018008, 32'h2002c016, 32'h10050015, 32'h0001000c, 32'h0001400a,
    32'h2002c012, 32'h10040011, 32'h0001400c, 32'h0001800a, 32'h2002c00e, 32'h0001800d,
    32'h1002800c, 32'h6002c00a
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [14*16-1:0] BITS = {
    16'h003d, 16'h0039, 16'h0038, 16'h0034, 16'h0030, 16'h002c,
    16'h0028, 16'h0024, 16'h0020, 16'h001f, 16'h001b, 16'h0017,
    16'h0013, 16'h000f
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 14;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [14*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0002000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h0007800a, 32'h0006000a, 32'h00098009, 32'h00080009, 32'h000c0008, 32'h000b8008,
    32'h000a0008, 32'h000d8007
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -20352;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 18432;
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
  localparam int F_NUM_DIGITS = 30;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [30*32-1:0] F_DIGITS = {
    32'h0007800c, 32'h0006000b, 32'h0007000a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00050008, 32'h00030008, 32'h00040007, 32'h00020007, 32'h00070006, 32'h00030006,
    32'h00068005, 32'h00020005, 32'h00058004, 32'h00070003, 32'h00068003, 32'h00048003,
    32'h00058002, 32'h00038002, 32'h00010002, 32'h00008002, 32'h00048001, 32'h00078000,
    32'h00068000, 32'h00050000, 32'h00038000, 32'h00020000, 32'h00010000, 32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -3004;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 4891;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1936-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd30, 32'd0, 32'd0, 32'd0, 32'd4891, -32'd3004, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'h00000011, 32'h00000012, 32'h00000012, 32'h00000013, 32'h00000013, 32'h00000014,
    32'h00000014, 32'h00000015, 32'h00000015, 32'h00000016, 32'h00000016, 32'h00000017,
    32'h00000017, 32'h00000018, 32'h00000018, 32'h00000019, 32'hffffffd9, 32'hffffffda,
    32'hffffffda, 32'hffffffdb, 32'hffffffdb, 32'hffffffdc, 32'hffffffdc, 32'hffffffdd,
    32'hffffffdd, 32'hffffffde, 32'hffffffde, 32'hffffffdf, 32'hffffffdf, 32'hffffffe0,
    32'hffffffe0, 32'hffffffe1, 32'h00000021, 32'h00000022, 32'h00000022, 32'h00000023,
    32'h00000023, 32'h00000024, 32'h00000024, 32'h00000025, 32'h00000025, 32'h00000026,
    32'h00000026, 32'h00000027, 32'h00000027, 32'h00000028, 32'h00000028, 32'h00000029,
    32'h00000029, 32'h0000002a, 32'h0000002a, 32'h0000002b, 32'h0000002b, 32'h0000002c,
    32'h0000002c, 32'h0000002d, 32'h0000002d, 32'h0000002e, 32'h0000002e, 32'h0000002f,
    32'h0000002f, 32'h00000030, 32'h00000030, 32'h00000031, 32'h00000031, 32'h00000032,
    32'h00000032, 32'h00000033, 32'h00000033, 32'h00000034, 32'h00000034, 32'h00000035,
    32'h00000035, 32'h00000036, 32'h00000036, 32'h00000037, 32'h00000037, 32'h00000038,
    32'h00000038, 32'h00000039, 32'hfffffff9, 32'hfffffffa, 32'hfffffffa, 32'hfffffffb,
    32'hfffffffb, 32'hfffffffc, 32'hfffffffc, 32'hfffffffd, 32'hfffffffd, 32'hfffffffe,
    32'hfffffffe, 32'hffffffff, 32'hffffffff, 32'h00000000, 32'h00000000, 32'h00000001,
    32'h00000041, 32'h00000042, 32'h00000042, 32'h00000043, 32'h00000043, 32'h00000044,
    32'h00000044, 32'h00000045, 32'h00000045, 32'h00000046, 32'h00000046, 32'h00000047,
    32'h00000047, 32'h00000048, 32'h00000048, 32'h00000049, 32'h00000049, 32'h0000004a,
    32'h0000004a, 32'h0000004b, 32'h0000004b, 32'h0000004c, 32'h0000004c, 32'h0000004d,
    32'h0000004d, 32'h0000004e, 32'h0000004e, 32'h0000004f, 32'h0000004f, 32'h00000050,
    32'h00000050, 32'h00000051, 32'hffffffd1, 32'hffffffd2, 32'hffffffd2, 32'hffffffd3,
    32'hffffffd3, 32'hffffffd4, 32'hffffffd4, 32'hffffffd5, 32'hffffffd5, 32'hffffffd6,
    32'hffffffd6, 32'hffffffd7, 32'hffffffd7, 32'hffffffd8, 32'hffffffd8, 32'hffffffd9,
    32'hffffff99, 32'hffffff9a, 32'hffffff9a, 32'hffffff9b, 32'hffffff9b, 32'hffffff9c,
    32'hffffff9c, 32'hffffff9d, 32'hffffff9d, 32'hffffff9e, 32'hffffff9e, 32'hffffff9f,
    32'hffffff9f, 32'hffffffa0, 32'hffffffa0, 32'hffffffa1, 32'hffffffe1, 32'hffffffe2,
    32'hffffffe2, 32'hffffffe3, 32'hffffffe3, 32'hffffffe4, 32'hffffffe4, 32'hffffffe5,
    32'hffffffe5, 32'hffffffe6, 32'hffffffe6, 32'hffffffe7, 32'hffffffe7, 32'hffffffe8,
    32'hffffffe8, 32'hffffffe9, 32'hffffffe9, 32'hffffffea, 32'hffffffea, 32'hffffffeb,
    32'hffffffeb, 32'hffffffec, 32'hffffffec, 32'hffffffed, 32'hffffffed, 32'hffffffee,
    32'hffffffee, 32'hffffffef, 32'hffffffef, 32'hfffffff0, 32'hfffffff0, 32'hfffffff1,
    32'hffffff71, 32'hffffff72, 32'hffffff72, 32'hffffff73, 32'hffffff73, 32'hffffff74,
    32'hffffff74, 32'hffffff75, 32'hffffff75, 32'hffffff76, 32'hffffff76, 32'hffffff77,
    32'hffffff77, 32'hffffff78, 32'hffffff78, 32'hffffff79, 32'hffffff39, 32'hffffff3a,
    32'hffffff3a, 32'hffffff3b, 32'hffffff3b, 32'hffffff3c, 32'hffffff3c, 32'hffffff3d,
    32'hffffff3d, 32'hffffff3e, 32'hffffff3e, 32'hffffff3f, 32'hffffff3f, 32'hffffff40,
    32'hffffff40, 32'hffffff41, 32'hffffff81, 32'hffffff82, 32'hffffff82, 32'hffffff83,
    32'hffffff83, 32'hffffff84, 32'hffffff84, 32'hffffff85, 32'hffffff85, 32'hffffff86,
    32'hffffff86, 32'hffffff87, 32'hffffff87, 32'hffffff88, 32'hffffff88, 32'hffffff89,
    32'hffffff89, 32'hffffff8a, 32'hffffff8a, 32'hffffff8b, 32'hffffff8b, 32'hffffff8c,
    32'hffffff8c, 32'hffffff8d, 32'hffffff8d, 32'hffffff8e, 32'hffffff8e, 32'hffffff8f,
    32'hffffff8f, 32'hffffff90, 32'hffffff90, 32'hffffff91
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [5072-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1936, 32'd3136, 32'd2688, 32'd2464, 32'd864, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd14, 32'd50, 32'd0, 32'd0, 32'd18432, -32'd20352, 32'd14, 32'd5, 32'd7, 32'h454e4301
  };
endpackage
