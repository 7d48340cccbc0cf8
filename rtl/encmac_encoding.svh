// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`ifndef ENCMAC_ENCODING_SVH
`define ENCMAC_ENCODING_SVH

/// An encoding as module parameters. The constants come from a package <name>_pkg that
/// models/encoding.py exports; these macros declare them, pass them on and take them from the package.

/// What a row needs: bits of the operands that it holds, gates, product bits, position weights.
`define ENCMAC_ROW_PARAMETERS \
    parameter int ABits = 8, \
    parameter int WBits = 8, \
    parameter int NumGates = 0, \
    parameter logic [(NumGates > 0 ? NumGates : 1)*32-1:0] Gates = '0, \
    parameter int M = 1, \
    parameter logic [M*16-1:0] Bits = '0, \
    parameter int NumDigits = 1, \
    parameter logic [NumDigits*32-1:0] Digits = '0
`define ENCMAC_ROW_PASS \
    .ABits(ABits), .WBits(WBits), .NumGates(NumGates), .Gates(Gates), .M(M), .Bits(Bits), \
    .NumDigits(NumDigits), .Digits(Digits)

/// What a stage of columns needs besides: range of a row's sum, encoder of the weights.
`define ENCMAC_STAGE_PARAMETERS \
    `ENCMAC_ROW_PARAMETERS, \
    parameter int MinSum = 0, \
    parameter int MaxSum = 0, \
    parameter int WNumGates = 0, \
    parameter logic [(WNumGates > 0 ? WNumGates : 1)*32-1:0] WGates = '0, \
    parameter logic [(WBits > 0 ? WBits : 1)*16-1:0] WWires = '0
`define ENCMAC_STAGE_PASS \
    `ENCMAC_ROW_PASS, .MinSum(MinSum), .MaxSum(MaxSum), \
    .WNumGates(WNumGates), .WGates(WGates), .WWires(WWires)
`define ENCMAC_STAGE_OF(PKG) \
    .ABits(PKG::A_BITS), .WBits(PKG::W_BITS), .NumGates(PKG::NUM_GATES), .Gates(PKG::GATES), .M(PKG::M), \
    .Bits(PKG::BITS), .NumDigits(PKG::NUM_DIGITS), .Digits(PKG::DIGITS), \
    .MinSum(PKG::MIN_SUM), .MaxSum(PKG::MAX_SUM), \
    .WNumGates(PKG::W_NUM_GATES), .WGates(PKG::W_GATES), .WWires(PKG::W_WIRES)

/// What an array needs besides: encoder of the activations, the extra column (FM = 0: none).
`define ENCMAC_ARRAY_PARAMETERS \
    `ENCMAC_STAGE_PARAMETERS, \
    parameter int ANumGates = 0, \
    parameter logic [(ANumGates > 0 ? ANumGates : 1)*32-1:0] AGates = '0, \
    parameter logic [(ABits > 0 ? ABits : 1)*16-1:0] AWires = '0, \
    parameter int FM = 0, \
    parameter int FNumGates = 0, \
    parameter logic [(FNumGates > 0 ? FNumGates : 1)*32-1:0] FGates = '0, \
    parameter logic [(FM > 0 ? FM : 1)*16-1:0] FBits = '0, \
    parameter int FNumDigits = 0, \
    parameter logic [(FNumDigits > 0 ? FNumDigits : 1)*32-1:0] FDigits = '0, \
    parameter int FMinSum = 0, \
    parameter int FMaxSum = 0
`define ENCMAC_ARRAY_OF(PKG) \
    `ENCMAC_STAGE_OF(PKG), \
    .ANumGates(PKG::A_NUM_GATES), .AGates(PKG::A_GATES), .AWires(PKG::A_WIRES), \
    .FM(PKG::F_M), .FNumGates(PKG::F_NUM_GATES), .FGates(PKG::F_GATES), .FBits(PKG::F_BITS), \
    .FNumDigits(PKG::F_NUM_DIGITS), .FDigits(PKG::F_DIGITS), .FMinSum(PKG::F_MIN_SUM), .FMaxSum(PKG::F_MAX_SUM)

`endif
