// Gowin multiplier MULT36X36 without registers, as Yosys uses it. Simulation only.
//
// UG287, Gowin Digital Signal Processing User Guide: operands of 36 bits, each signed or not, and their product.
//
// Registers are parameters that this model has not: a netlist that uses them is refused.
module MULT36X36 (
    input  logic CLK,
    input  logic CE,
    input  logic RESET,
    input  logic [35:0] A,
    input  logic [35:0] B,
    input  logic ASIGN,
    input  logic BSIGN,
    output logic [71:0] DOUT
);
    wire signed [36:0] left = {ASIGN && A[35], A};
    wire signed [36:0] right = {BSIGN && B[35], B};
    wire signed [73:0] product = left * right;
    assign DOUT = product[71:0];
endmodule
