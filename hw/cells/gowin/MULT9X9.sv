// Gowin multiplier MULT9X9 without registers, as Yosys uses it. Simulation only.
//
// UG287, Gowin Digital Signal Processing User Guide: operands of 9 bits, each signed or not, and their product.
//
// Registers are parameters that this model has not, shift outputs have no pins here: a netlist that uses them is
// refused.
module MULT9X9 (
    input  logic CLK,
    input  logic CE,
    input  logic RESET,
    input  logic [8:0] A,
    input  logic [8:0] B,
    input  logic [8:0] SIA,
    input  logic [8:0] SIB,
    input  logic ASEL,
    input  logic BSEL,
    input  logic ASIGN,
    input  logic BSIGN,
    output logic [17:0] DOUT
);
    wire signed [9:0] left = {ASIGN && A[8], A};
    wire signed [9:0] right = {BSIGN && B[8], B};
    wire signed [19:0] product = left * right;
    assign DOUT = product[17:0];

    always_comb if (ASEL || BSEL) $fatal(1, "MULT9X9: shift chains are not modelled");
endmodule
