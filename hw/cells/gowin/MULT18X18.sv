// Gowin multiplier MULT18X18 without registers, as Yosys uses it. Simulation only.
//
// UG287, Gowin Digital Signal Processing User Guide: operands of 18 bits, each signed or not, and their product.
//
// Registers are parameters that this model has not, shift outputs have no pins here: a netlist that uses them is
// refused.
module MULT18X18 (
    input  logic CLK,
    input  logic CE,
    input  logic RESET,
    input  logic [17:0] A,
    input  logic [17:0] B,
    input  logic [17:0] SIA,
    input  logic [17:0] SIB,
    input  logic ASEL,
    input  logic BSEL,
    input  logic ASIGN,
    input  logic BSIGN,
    output logic [35:0] DOUT
);
    wire signed [18:0] left = {ASIGN && A[17], A};
    wire signed [18:0] right = {BSIGN && B[17], B};
    wire signed [37:0] product = left * right;
    assign DOUT = product[35:0];

    always_comb if (ASEL || BSEL) $fatal(1, "MULT18X18: shift chains are not modelled");
endmodule
